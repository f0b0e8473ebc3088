"""What can a model backend do."""

from __future__ import annotations

from collections.abc import Generator as Stream
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from clients.llm import Generate, Generation, Role, ScoreKind, Scores, Token
from services.models import Card
from services.service import Call


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A text as an embedding model sees it.

    Attributes:
        ids: int32 [num_tokens].
        first, last: where the text's own tokens begin and end, without prefix and special tokens.
        wants_tokens: give back a vector per token, not one for the whole.
        is_cut: the text was longer than the model takes.
    """

    ids: np.ndarray
    first: int
    last: int
    wants_tokens: bool = False
    is_cut: bool = False

    @property
    def num_tokens(self) -> int:
        """Tokens that a forward pass works on."""
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPair:
    """A query and a document as a reranking model sees them.

    Attributes:
        ids: int32 [num_tokens], without what is shared.
        shared: what the model sees before ``ids``, the same for all documents of a query; a forward
            pass holds only pairs that share it. Empty for models that read both ways.
        is_cut: the pair was longer than the model takes.
        second: where the document begins, for models that tell the two apart by a type; 0 for others.
    """

    ids: np.ndarray
    shared: tuple[int, ...] = ()
    is_cut: bool = False
    second: int = 0

    @property
    def num_tokens(self) -> int:
        """Tokens that a forward pass works on."""
        return len(self.ids)


class Embedder(Protocol):
    """A model that turns texts into vectors.

    Attributes:
        num_streams: how many ``run`` calls may go on at a time.
        max_waste_tokens: padding that costs as much as one more forward pass.
        budget_tokens: padded tokens of one forward pass.
    """

    num_streams: int
    max_waste_tokens: int
    budget_tokens: int

    @property
    def card(self) -> Card:
        """The model's description."""
        ...

    def prepare(
        self, texts: Sequence[str], role: Role, *, instruction: str = "", wants_tokens: bool = False
    ) -> list[Prepared]:
        """Tokenise; a text longer than the model's limit is cut."""
        ...

    def run(self, batch: Sequence[Prepared], *, is_alone: bool = False) -> list[np.ndarray]:
        """One forward pass; may be called from several threads.

        Args:
            batch: what goes through together.
            is_alone: nothing else waits or runs, so that the pass may use every thread.

        Returns:
            For each text float32 [dim], or [num_tokens, dim] where tokens are wanted; L2-normalised.
        """
        ...

    def close(self) -> None:
        """Let go of the model; no ``run`` is under way."""
        ...


class Scorer(Protocol):
    """A model that reads a query and a document together.

    Attributes:
        num_streams, max_waste_tokens, budget_tokens: as of an Embedder.
        kind: what ``run`` gives: ``logit`` becomes a probability by expit, other kinds stay as they are.
    """

    num_streams: int
    max_waste_tokens: int
    budget_tokens: int
    kind: ScoreKind

    @property
    def card(self) -> Card:
        """The model's description."""
        ...

    def prepare(self, pairs: Sequence[tuple[str, str]], *, instruction: str = "") -> list[PreparedPair]:
        """Tokenise (query, document) pairs; the document is cut when both are too long."""
        ...

    def run(self, batch: Sequence[PreparedPair], *, is_alone: bool = False) -> np.ndarray:
        """One forward pass over pairs that share what is ``shared``; may be called from several threads.

        Returns:
            float32 [n], the raw outputs.
        """
        ...

    def close(self) -> None:
        """Let go of the model; no ``run`` is under way."""
        ...


class Reranker(Protocol):
    """What scores how well documents answer queries."""

    @property
    def card(self) -> Card:
        """The model's description."""
        ...

    def score(self, pairs: Sequence[tuple[str, str]], call: Call, *, instruction: str = "") -> Scores:
        """Score (query, document) pairs, in their order."""
        ...

    def close(self) -> None:
        """Let go of the model."""
        ...


class Generator(Protocol):
    """A model that writes."""

    @property
    def card(self) -> Card:
        """The model's description."""
        ...

    def generate(self, request: Generate, call: Call) -> Stream[Token, None, Generation]:
        """Write token by token; looks at ``call`` between tokens.

        Raises:
            TooLarge: the prompt is longer than the model's context.
            Busy: too many are being written already.
        """
        ...

    def close(self) -> None:
        """Let go of the model."""
        ...
