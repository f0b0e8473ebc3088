"""What the page shows of a test set: its name, its questions and the figures of its runs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from clients.index import Collection
from clients.testsets import Question, QuestionSet, Run
from ui.labels import Labels

from .collections import title_of

MAX_NAME_CHARS = 100
FIGURES = ("ndcg_at_10", "recall_at_100", "abstention_precision", "abstention_recall")


def names(sets: Sequence[QuestionSet], wanted: str, collection: Collection, labels: Labels) -> list[str]:
    """The sets to choose from, the wanted one first; a fresh name where there is none."""
    known = [one.name for one in sets]
    found = dict.fromkeys([*([wanted] if wanted else []), *known])
    return list(found) or [labels("marking.first_name", title=title_of(collection))[:MAX_NAME_CHARS]]


def state(question: Question, name: str, labels: Labels) -> str:
    """That a question is in a set, and what the set says of it."""
    return labels("marking.state", name=name, told=told(question, labels))


def told(question: Question, labels: Labels) -> str:
    """What a set says of a question."""
    if question.must_abstain:
        return labels("marking.no_answer")
    num_right = len(question.answering)
    return labels("marking.counts", right=num_right, wrong=len(question.relevant) - num_right)


def command(name: str) -> str:
    """What to type to measure a set."""
    return f"ragq eval --testset {shlex.quote(name)}"


def figures(run: Run, labels: Labels) -> str:
    """A run on one line."""
    shown = [f"{labels(f'figure.{key}')} {run.figures[key].value:.3f}" for key in FIGURES if key in run.figures]
    return " · ".join([run.way, *shown])
