"""What asking a question gives: events on the way, and the answer with its citations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .searching import Hit
from .within import Within

Route = Literal["answer", "fallback", "absent"]
AnswerKind = Literal["extractive", "written", "none"]
# Why there is no answer: the collection has no passages, or none yet; the search found none; what it found is about
# something else; it may be related but does not suffice; a part of the search failed, so that nothing can be said.
Cause = Literal["", "empty", "pending", "nothing", "irrelevant", "unsure", "incomplete"]


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
class Candidate:
    """A passage as the decision saw it; what did not take part is None.

    Attributes:
        chunk_id: of the passage.
        bi_score: cosine of the embeddings of question and passage.
        bm25_rank: 1-based rank by words.
        logit: what the reranker said: log-odds of a cross-encoder, or a similarity.
        p: probability that the answer is in it; None where nothing was fitted to say so.
    """

    chunk_id: str
    bi_score: float | None = None
    bm25_rank: int | None = None
    logit: float | None = None
    p: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the collection can answer, taken before the first token.

    Attributes:
        route: answer it; answer from both searches after a second one by words; or say that the collection lacks it.
        confidence: 0 to 1; a probability when ``calibrated``.
        threshold: t_high; from it on the question is answered.
        calibrated: whether confidence and thresholds were fitted for this collection and these models; if not, they
            are defaults.
        reason: one sentence for people.
        coverage: 0 to 1, share of the question's informative words that the best passages contain.
        t_low: below it the collection lacks the answer; between the two a second search is tried.
        cause: why the route is ``absent``; empty for the others.
        candidates: the passages that the decision was taken on, best first.
        num_pending: documents that were not ready yet, where the route is ``absent``.
    """

    route: Route
    confidence: float
    threshold: float
    reason: str
    calibrated: bool = False
    coverage: float = 0.0
    t_low: float = 0.0
    cause: Cause = ""
    candidates: list[Candidate] = field(default_factory=list)
    num_pending: int = 0


@dataclass(frozen=True, slots=True)
class Citation:
    """A marker of the answer and the words that it stands for.

    Attributes:
        marker: the number in brackets.
        quote: the cited words, empty when the whole passage is meant.
        start, end: offsets of the quote in the chunk's text; 0, 0 for the whole passage.
        source: URL of the web page that the document is; empty for all else.
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
    source: str = ""


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
        is_grounded: false for an answer that was given although the collection lacks it.
        within: the documents that were asked; None for all.
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
    is_grounded: bool = True
    within: Within | None = None


Event = Rewritten | Sources | Decision | Delta | Answer
