"""What asking a question gives: events on the way, and the answer with its citations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .searching import Hit

Route = Literal["answer", "fallback", "absent"]
AnswerKind = Literal["extractive", "written", "none"]


@dataclass(frozen=True, slots=True)
class Round:
    """An earlier round of the conversation."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The text that is searched for, when it differs from the question."""

    query: str


@dataclass(frozen=True, slots=True)
class Sources:
    """The passages found, best first; ``[1]`` in the answer is ``hits[0]``."""

    hits: list[Hit]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the collection can answer, taken before the first token.

    Attributes:
        route: answer it; answer from a second, keyword-only search; or say that the collection lacks it.
        confidence: 0 to 1, compared with ``threshold``.
        calibrated: whether the threshold was fitted for this collection; if not, it is a default.
        reason: one sentence for people.
        coverage: 0 to 1, share of the question's informative words that the best passages contain.
    """

    route: Route
    confidence: float
    threshold: float
    reason: str
    calibrated: bool = False
    coverage: float = 0.0


@dataclass(frozen=True, slots=True)
class Citation:
    """A marker of the answer and the words that it stands for.

    Attributes:
        marker: the number in brackets.
        quote: the cited words, empty when the whole passage is meant.
        start, end: offsets of the quote in the chunk's text; 0, 0 for the whole passage.
    """

    marker: int
    chunk_id: str
    document_id: str
    document: str
    text: str
    quote: str = ""
    start: int = 0
    end: int = 0
    page: int = 0
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer's text, as it becomes final."""

    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer.

    Attributes:
        kind: extractive (quoted sentences), written (by the generation model) or none (nothing to say).
        citations: every marker that occurs in ``text``, checked against the passages used.
        timings: seconds per stage.
        notes: what was left out and why, for people.
    """

    text: str
    kind: AnswerKind
    citations: list[Citation]
    decision: Decision
    question: str
    query: str
    model: str = ""
    timings: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


Event = Rewritten | Sources | Decision | Delta | Answer
