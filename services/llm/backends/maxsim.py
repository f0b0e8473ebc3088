"""How well does a document answer a query, by the embedding model's own token vectors.

For each token of the query the best cosine over the document's tokens, averaged (late interaction
as in ColBERT, Khattab and Zaharia 2020, on a model that was not trained for it). The score is a
third signal beside keyword and dense scores; alone it does not improve a list that is already fused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Protocol

import numpy as np

from clients.llm import Role, Scores
from services.llm.tally import Tally
from services.models import Card
from services.service import Call


class TokenVectors(Protocol):
    """Gives a vector per token."""

    def tokens(self, texts: Sequence[str], role: Role, call: Call) -> list[np.ndarray]:
        """For each text float32 [tokens, dim], L2-normalised."""
        ...


class MaxSim:
    """Reranking without a further model.

    Args:
        lend: the embedding model of the moment, for as long as one call needs it.
        card: that model's description.
    """

    def __init__(self, lend: Callable[[Call], AbstractContextManager[TokenVectors]], card: Callable[[], Card]) -> None:
        self._lend = lend
        self._card = card

    @property
    def card(self) -> Card:
        """The embedding model's, under its own name."""
        return replace(self._card(), name="maxsim", roles=("rerank",))

    @property
    def tally(self) -> Tally:
        """Nothing: what goes through the embedding model is counted there."""
        return Tally()

    def score(self, pairs: Sequence[tuple[str, str]], call: Call, *, instruction: str = "") -> Scores:
        """Score (query, document) pairs; a text without tokens scores 0."""
        queries = list(dict.fromkeys(query for query, _ in pairs))
        documents = list(dict.fromkeys(document for _, document in pairs))
        with self._lend(call) as source:
            query_tokens = dict(zip(queries, source.tokens(queries, "query", call), strict=True))
            document_tokens = dict(zip(documents, source.tokens(documents, "document", call), strict=True))
        call.check()
        scores = np.array(
            [_max_sim(query_tokens[query], document_tokens[document]) for query, document in pairs], np.float32
        )
        return Scores(scores, scores, "similarity", self.card.name)

    def close(self) -> None:
        """The model is the embedding role's."""


def _max_sim(query: np.ndarray, document: np.ndarray) -> float:
    if not len(query) or not len(document):
        return 0.0
    return float(np.clip((query @ document.T).max(axis=1).mean(), 0.0, 1.0))
