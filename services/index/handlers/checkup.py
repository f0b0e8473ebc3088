"""The handler that proves that records and stores agree."""

from __future__ import annotations

from collections.abc import Generator

from clients.checkup import CHECK, Checked, Checking, Checkup
from services.service import Call, serves

from .base import Handlers


class CheckupHandlers(Handlers):
    """Checks and mends."""

    @serves(CHECK)
    def check(self, request: Checkup, call: Call) -> Generator[Checking, None, Checked]:
        """Compare the records with the stores; what is to be made anew is queued."""
        for step in self._parts.examiner.examine(request, call):
            if isinstance(step, Checked):
                self._parts.ingest.wake()
                return step
            yield step
        raise AssertionError("an examination ends with its result")
