"""How do texts of many calls become vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from clients.errors import BackendError, BadRequest
from clients.llm import Role
from services.models import Card
from services.service import Call

from .backends.base import Embedder, Prepared
from .cache import Cache, key_of
from .flights import Flights, always
from .tally import Tally

CACHE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """The vector, or the token vectors, of a text.

    Attributes:
        first, last: rows of the text's own tokens.
        is_cut: the text was longer than the model takes.
    """

    values: np.ndarray
    num_tokens: int
    first: int
    last: int
    is_cut: bool

    @property
    def num_bytes(self) -> int:
        """Memory of the vectors."""
        return self.values.nbytes


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """The vectors of a call.

    Attributes:
        vectors: float32 [n, dim], L2-normalised.
        num_tokens: of all texts together.
        truncated: places of texts that were cut.
    """

    vectors: np.ndarray
    num_tokens: int
    truncated: list[int]


class Embedding:
    """An embedding model with its queue; safe for any number of threads.

    Args:
        embedder: the model.
        cache_bytes: memory for vectors of texts; the same again for vectors of tokens.
        dimension: length of the vectors unless a call says otherwise; 0 means all of it.
        instruction: what queries are told to be unless a call says otherwise; empty means the model's own.
        is_quiet: whether no other model of this process works.

    Raises:
        BadRequest: the model's vectors cannot be cut to ``dimension``.
    """

    def __init__(
        self,
        embedder: Embedder,
        cache_bytes: int = CACHE_BYTES,
        *,
        dimension: int = 0,
        instruction: str = "",
        is_quiet: Callable[[], bool] = always,
    ) -> None:
        check_dimension(embedder.card, dimension)
        self.embedder = embedder
        self._dimension, self._instruction = dimension, instruction
        self._vectors: Cache[Remembered] = Cache(cache_bytes)
        self._tokens: Cache[Remembered] = Cache(cache_bytes)
        self._flights: Flights[Prepared, Remembered] = Flights(
            "embed", embedder, self._run, lambda text: text.wants_tokens, is_quiet
        )

    @property
    def card(self) -> Card:
        """The model's description."""
        return self.embedder.card

    @property
    def dimension(self) -> int:
        """Length of the vectors unless a call says otherwise."""
        return self._dimension or self.card.dimension

    @property
    def tally(self) -> Tally:
        """What has gone through, and what waits."""
        return self._flights.tally + self._vectors.tally + self._tokens.tally

    def embed(
        self, texts: Sequence[str], role: Role, call: Call, *, instruction: str = "", dimension: int = 0
    ) -> Embedded:
        """Vectors in the order of the texts.

        Raises:
            BadRequest: the vectors cannot be cut to ``dimension``; names what is allowed.
        """
        check_dimension(self.card, dimension)
        entries = self._get(texts, role, call, instruction, wants_tokens=False)
        vectors = cut(np.stack([entry.values for entry in entries]), dimension or self._dimension)
        truncated = [place for place, entry in enumerate(entries) if entry.is_cut]
        return Embedded(vectors, sum(entry.num_tokens for entry in entries), truncated)

    def tokens(self, texts: Sequence[str], role: Role, call: Call) -> list[np.ndarray]:
        """For each text float32 [tokens, dim], L2-normalised, without prefix and special tokens."""
        entries = self._get(texts, role, call, "", wants_tokens=True)
        return [entry.values[entry.first : entry.last].astype(np.float32) for entry in entries]

    def close(self) -> None:
        """End the streams and let go of the model; calls that wait get an error."""
        self._flights.close()
        self.embedder.close()

    def _get(
        self, texts: Sequence[str], role: Role, call: Call, instruction: str, *, wants_tokens: bool
    ) -> list[Remembered]:
        told = instruction or self._instruction if role == "query" else ""
        revision = self.card.revision

        def prepare(places: list[int]) -> list[Prepared]:
            chosen = [texts[place] for place in places]
            return self.embedder.prepare(chosen, role, instruction=told, wants_tokens=wants_tokens)

        kind = "tokens" if wants_tokens else "vector"
        keys = [key_of(revision, role, kind, told, text) for text in texts]
        cache = self._tokens if wants_tokens else self._vectors
        return self._flights.get(keys, prepare, cache, call, is_urgent=role == "query" or wants_tokens)

    def _run(self, batch: list[Prepared], is_alone: bool) -> list[Remembered | BackendError]:
        rows = self.embedder.run(batch, is_alone=is_alone)
        return [self._remembered(text, values) for text, values in zip(batch, rows, strict=True)]

    def _remembered(self, text: Prepared, values: np.ndarray) -> Remembered | BackendError:
        if not np.isfinite(values).all():
            return BackendError(f"'{self.card.name}' gave a vector that is not finite", help="try dtype: fp32")
        kept = values.astype(np.float16) if text.wants_tokens else values
        return Remembered(kept, text.num_tokens, text.first, text.last, text.is_cut)


def check_dimension(card: Card, dimension: int) -> None:
    """BadRequest when the model's vectors cannot be so long; names what is allowed."""
    if dimension in (0, card.dimension):
        return
    if not card.min_dimension:
        raise BadRequest(
            f"dimension is {dimension}, and the vectors of '{card.name}' cannot be cut",
            help=f"leave it out, or say {card.dimension}" if card.dimension else "leave it out",
        )
    if not card.min_dimension <= dimension <= card.dimension:
        raise BadRequest(
            f"dimension is {dimension}; '{card.name}' allows {card.min_dimension} to {card.dimension}",
            help="leave it out for the whole vector",
        )


def cut(vectors: np.ndarray, dimension: int) -> np.ndarray:
    """The first numbers of each vector, normalised again (Matryoshka, Kusupati et al. 2022).

    Args:
        vectors: float32 [n, dim], L2-normalised.
        dimension: 0 or dim leaves them as they are.
    """
    if not dimension or dimension >= vectors.shape[1]:
        return vectors
    short = vectors[:, :dimension]
    norms = np.linalg.norm(short, axis=1, keepdims=True)
    shorter: np.ndarray = short / np.maximum(norms, np.float32(1e-12))
    return shorter
