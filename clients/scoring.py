"""What is asked to have documents scored against queries, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from .errors import BadRequest
from .parts import Split, cut, shifted
from .wire import unary

ScoreKind = Literal["similarity", "probability", "logit"]
MAX_PAIRS_PER_CALL = 256


@dataclass(frozen=True, slots=True)
class Rerank:
    """Documents to score against one query.

    Attributes:
        instruction: what makes a document fit, for models that take one; empty means the model's own.
    """

    query: str
    documents: list[str]
    model: str = ""
    instruction: str = ""


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores in the order of the documents, higher is better.

    Attributes:
        scores: float32 [n]; ``kind`` names the scale (similarity and probability are 0 to 1).
        logits: float32 [n], the raw outputs; equal to ``scores`` for a similarity. Order by these: scores
            near 1 round to the same number.
        truncated: indices of pairs that were longer than the model takes, and were cut.
    """

    scores: np.ndarray
    logits: np.ndarray
    kind: ScoreKind
    model: str
    num_tokens: int = 0
    truncated: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Score:
    """Pairs to score one by one: ``queries[i]`` against ``documents[i]``."""

    queries: list[str]
    documents: list[str]
    model: str = ""
    instruction: str = ""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A document after reranking; ``index`` is its place in the request, ``kind`` the scale of ``score``."""

    index: int
    score: float
    logit: float
    text: str
    kind: ScoreKind = "similarity"


RERANK = unary("llm.rerank", Rerank, Scores)
SCORE = unary("llm.score", Score, Scores)


def rerank_requests(
    query: str, documents: Sequence[str], model: str, instruction: str, *, tells: bool = False
) -> Split[Rerank]:
    """What is asked to have documents scored against a query, in as many calls as they need."""
    cuts = cut([len(document) for document in documents], MAX_PAIRS_PER_CALL, tells=tells)
    return Split([Rerank(query, list(documents[c.start : c.stop]), model, instruction) for c in cuts], cuts)


def score_requests(
    queries: str | Sequence[str], documents: Sequence[str], model: str, instruction: str, *, tells: bool = False
) -> Split[Score]:
    """What is asked to have pairs scored; one query stands for as many as there are documents.

    Raises:
        BadRequest: not as many queries as documents.
    """
    asked = [queries] * len(documents) if isinstance(queries, str) else list(queries)
    if len(asked) != len(documents):
        raise BadRequest(f"{len(asked)} queries and {len(documents)} documents do not make pairs")
    num_chars = [len(query) + len(document) for query, document in zip(asked, documents, strict=True)]
    cuts = cut(num_chars, MAX_PAIRS_PER_CALL, tells=tells)
    requests = [
        Score(asked[c.start : c.stop], list(documents[c.start : c.stop]), model, instruction) for c in cuts
    ]  # fmt: skip
    return Split(requests, cuts)


def merged(replies: Sequence[Scores], cuts: Sequence[range]) -> Scores:
    """The parts as one.

    Raises:
        BadRequest: there is no part.
    """
    if not replies:
        raise BadRequest("there is nothing to score", help="give at least one document")
    return Scores(
        np.concatenate([reply.scores for reply in replies]),
        np.concatenate([reply.logits for reply in replies]),
        replies[0].kind,
        replies[0].model,
        sum(reply.num_tokens for reply in replies),
        shifted([reply.truncated for reply in replies], cuts),
    )


def ranked(reply: Scores, documents: Sequence[str], top_k: int | None) -> list[Ranked]:
    """The documents by their logits; best first, ties in the order given."""
    order = np.argsort(-reply.logits, kind="stable")[: top_k or len(documents)]
    return [
        Ranked(int(i), float(reply.scores[i]), float(reply.logits[i]), documents[int(i)], reply.kind) for i in order
    ]
