"""What is asked to find the sentences that answer a question, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass

from .wire import unary


@dataclass(frozen=True, slots=True)
class Extract:
    """Passages in which to find the sentences that answer a question."""

    question: str
    passages: list[str]
    max_sentences: int = 3


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage.

    Attributes:
        passage: index into the request's passages.
        start, end: character offsets in that passage.
        score: higher is better, 0 to 1.
    """

    passage: int
    start: int
    end: int
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Extraction:
    """The best sentences, best first."""

    sentences: list[Sentence]


EXTRACT = unary("llm.extract", Extract, Extraction)
