"""What can a model backend do."""

from __future__ import annotations

from collections.abc import Generator as Stream
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from clients.llm import Generate, Generation, Role, Scores, Token
from services.models import Card
from services.service import Call


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A text as an embedding model sees it.

    Attributes:
        ids: int32 [num_tokens].
        first, last: where the text's own tokens begin and end, without prefix and special tokens.
        wants_tokens: give back a vector per token, not one for the whole.
    """

    ids: np.ndarray
    first: int
    last: int
    wants_tokens: bool = False

    @property
    def num_tokens(self) -> int:
        """Tokens that a forward pass works on."""
        return len(self.ids)


class Embedder(Protocol):
    """A model that turns texts into vectors.

    Attributes:
        num_streams: how many ``run`` calls may go on at a time.
        max_waste_tokens: padding that costs as much as one more forward pass.
    """

    num_streams: int
    max_waste_tokens: int

    @property
    def card(self) -> Card:
        """The model's description."""
        ...

    def prepare(self, texts: Sequence[str], role: Role, *, wants_tokens: bool = False) -> list[Prepared]:
        """Tokenise; a text longer than the model's limit is cut."""
        ...

    def run(self, batch: Sequence[Prepared]) -> list[np.ndarray]:
        """One forward pass; may be called from several threads.

        Returns:
            For each text float32 [dim], or [num_tokens, dim] where tokens are wanted; L2-normalised.
        """
        ...


class Reranker(Protocol):
    """A model that scores how well documents answer queries."""

    @property
    def card(self) -> Card:
        """The model's description."""
        ...

    def score(self, pairs: Sequence[tuple[str, str]], call: Call) -> Scores:
        """Score (query, document) pairs, in their order."""
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
