"""What a search asks of the Index service, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from .within import Within

Mode = Literal["dense", "keyword", "hybrid"]
HitScore = Literal["similarity", "bm25", "rrf", "fused", "probability"]


@dataclass(frozen=True, slots=True)
class Search:
    """A search in a collection.

    Attributes:
        mode: dense (vectors), keyword (BM25 over words and CJK bigrams) or hybrid (both, fused).
        rerank: let the LLM service score the first candidates again.
        vector: float32 [dim] of the caller's own, instead of embedding ``query``.
        copies: chunks of equal text below equal headings are one find; how many of them may be among the hits.
        without: ids of documents that the collection is to lack for this search.
        within: the documents to search; None for all. It is decided before the best are, so that ``top_k`` are found
            where there are as many. A service that does not know the field refuses the call.
        at_least: the least scores of a hit, by signal: ``{"dense": 0.8}``. A signal that the search has not, because
            the reranker is away or the mode leaves it out, limits nothing; a note says so.
    """

    collection: str
    query: str
    top_k: int = 10
    mode: Mode = "hybrid"
    rerank: bool = True
    vector: np.ndarray | None = None
    copies: int = 1
    without: list[str] = field(default_factory=list)
    within: Within | None = None
    at_least: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk found by a search.

    Attributes:
        score: higher is better, on the scale that ``score_kind`` names.
        scores: every signal that took part: ``dense`` (cosine), ``keyword`` (BM25), ``rerank``.
        ranks: 1-based rank in each signal.
        num_copies: how many chunks of the collection have this text below these headings, counted up to 1000.
        source: URL of the web page that the document is; empty for all else.
        found: the chunk's own text where ``text``, ``start`` and ``end`` are those of the section around it
            (documents cut with ``strategy="parents"``); empty for all else.
    """

    chunk_id: str
    document_id: str
    document: str
    text: str
    score: float
    score_kind: HitScore
    start: int = 0
    end: int = 0
    page: int = 0
    heading: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    ranks: dict[str, int] = field(default_factory=dict)
    num_copies: int = 1
    source: str = ""
    found: str = ""


@dataclass(frozen=True, slots=True)
class Hits:
    """Hits, best first, what the search cost, and how well it covered the question.

    Attributes:
        timings: seconds per stage: ``embed``, ``dense``, ``keyword``, ``rerank``.
        coverage: 0 to 1, share of the question's informative words (by rarity in the collection)
            that the best hits contain; one of the signals for the decision to answer.
        notes: what was left out and why, for people.
        model: whose vectors were compared: the collection's own; empty when the search was by words alone.
    """

    hits: list[Hit]
    timings: dict[str, float] = field(default_factory=dict)
    coverage: float = 0.0
    notes: list[str] = field(default_factory=list)
    model: str = ""
