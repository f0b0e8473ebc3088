"""How does a person's word on a hit get into a test set and back onto the page?"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from clients.index import Hit
from clients.relevance import is_relevant
from clients.testsets import Question, Relevant
from ui.exchanges import Exchange

Mark = Literal["right", "wrong", ""]


def mark_of(question: Question | None, hit: Hit) -> Mark:
    """What was said of a hit; what answers comes first where a chunk holds both."""
    if question is None:
        return ""
    said = [one.grade > 0 for one in question.relevant if is_relevant(hit, one)]
    return "" if not said else "right" if any(said) else "wrong"


def with_mark(question: Question, hit: Hit, mark: Mark) -> Question:
    """The question after a person said so of a hit; saying the same again takes it back."""
    others = [one for one in question.relevant if not is_relevant(hit, one)]
    if not mark or mark == mark_of(question, hit):
        return replace(question, relevant=others)
    said = Relevant(hit.document, hit.text, hit.document_id, hit.start, hit.end, int(mark == "right"))
    return replace(question, relevant=[*others, said], must_abstain=question.must_abstain and mark != "right")


def with_abstaining(question: Question) -> Question:
    """The question after a person said that nothing answers it, or took it back; what was said to answer goes."""
    if question.must_abstain:
        return replace(question, must_abstain=False)
    return replace(question, must_abstain=True, relevant=[one for one in question.relevant if not one.grade])


def says_something(question: Question) -> bool:
    """Whether it is worth keeping."""
    return bool(question.relevant or question.answer or question.must_abstain)


def with_verdict(question: Question, exchange: Exchange, *, is_good: bool) -> Question:
    """The question after a person liked its answer or did not: what it cited is right, or wrong.

    An answer that says that there is none was right to refuse, or not.
    """
    answer = exchange.answer
    if answer is None:
        return question
    if answer.kind == "none":
        return question if question.must_abstain == is_good else with_abstaining(question)
    cited = {citation.chunk_id for citation in answer.citations}
    mark: Mark = "right" if is_good else "wrong"
    for hit in exchange.hits:
        if hit.chunk_id in cited and mark_of(question, hit) != mark:
            question = with_mark(question, hit, mark)
    return question
