"""What does an embedding model think of documents, next to a model that reads them together with the query?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clients.llm import LLMClient, ScoreKind

TINY = 1e-30


@dataclass(frozen=True, slots=True)
class Compared:
    """A document with both scores.

    Attributes:
        similarity: cosine of the two embeddings, -1 to 1.
        logit, score, kind: of the reranker, as in Ranked.
    """

    index: int
    similarity: float
    logit: float
    score: float
    kind: ScoreKind
    text: str


def compared(
    llm: LLMClient, query: str, documents: Sequence[str], top_k: int | None = None, **how: Any
) -> list[Compared]:
    """The documents as the reranker orders them, with their similarities; ``how`` as for ``rerank``."""
    cosines: np.ndarray = llm.embed(documents) @ llm.embed(query, "query")[0]
    found = llm.rerank(query, documents, top_k, **how)
    return [Compared(r.index, float(cosines[r.index]), r.logit, r.score, r.kind, r.text) for r in found]


def lesson(found: Sequence[Compared]) -> str:
    """What the figures teach, in one line; the documents come best first."""
    best = found[0]
    if best.kind != "probability":
        return f"The reranker gives a {best.kind}, not a logit: take a cross-encoder to see the difference."
    own = f"{best.score:.3f} in itself"
    if len(found) > 1:
        times = best.score / max(found[1].score, TINY)
        own = f"{times:,.0f} times the second by expit, and {own}"
    return (
        f"The best document is {own}: the order tells which one fits best, and only a threshold that was "
        "fitted to this model tells whether it fits."
    )
