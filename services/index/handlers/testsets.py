"""Handlers for test sets."""

from __future__ import annotations

import time

from clients import testsets as contract
from clients.wire import Nothing
from services.index.testsets import TestSetRecords
from services.service import Call, serves

from .base import Handlers


class TestSetHandlers(Handlers):
    """Keep questions and what answers them, and the runs over them."""

    __test__ = False

    @property
    def _testsets(self) -> TestSetRecords:
        return TestSetRecords(self._parts.database, time.time)

    @serves(contract.TESTSETS)
    def testsets(self, _request: Nothing, _call: Call) -> contract.QuestionSets:
        """Every test set."""
        return contract.QuestionSets(self._testsets.all())

    @serves(contract.QUESTIONS)
    def questions(self, request: contract.QuestionPage, _call: Call) -> contract.Questions:
        """Some questions of a set."""
        return self._testsets.page(request)

    @serves(contract.ADD_QUESTIONS)
    def add_questions(self, request: contract.AddQuestions, _call: Call) -> contract.QuestionSet:
        """Put questions into a set."""
        return self._testsets.add(request)

    @serves(contract.DELETE_QUESTIONS)
    def delete_questions(self, request: contract.DeleteQuestions, _call: Call) -> contract.QuestionSet:
        """Take questions out of a set."""
        return self._testsets.remove(request)

    @serves(contract.DELETE_TESTSET)
    def delete_testset(self, request: contract.SetName, _call: Call) -> Nothing:
        """Delete a set."""
        self._testsets.delete(request.name)
        return Nothing()

    @serves(contract.SAVE_RUN)
    def save_run(self, request: contract.Run, _call: Call) -> Nothing:
        """Keep a run."""
        self._testsets.save(request)
        return Nothing()

    @serves(contract.RUNS)
    def runs(self, request: contract.SetName, _call: Call) -> contract.Runs:
        """The runs over a set."""
        return contract.Runs(self._testsets.runs(request.name))
