"""What a vector store is able to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, overload

import numpy as np

from clients.errors import BackendError

ID_BYTES = 100  # a text of 32 characters and the place that points to it, in a list and in what was picked
FEW_ROWS = 4


@dataclass(frozen=True, slots=True)
class Near:
    """A vector found by a query.

    Attributes:
        score: cosine similarity, -1 to 1.
    """

    id: str
    score: float


@dataclass(frozen=True, slots=True)
class Picked:
    """Vectors that a store picked for a search among some ids.

    Attributes:
        holder: what they were picked from, and its version then.
        columns: float32 [dim, n], of length one, in the order of ``ids``.
    """

    holder: object
    version: int
    ids: list[str]
    columns: np.ndarray


class Among(Sequence[str]):
    """Ids that a search is limited to.

    To find and to pick ten thousand vectors costs ten times what it costs to look at them, so a store leaves here what
    it picked last: whoever searches among the same ids again keeps the object.
    """

    MAX_BYTES = 64 << 20

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = tuple(ids)
        self._picked: Picked | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...

    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        return self.ids[place]

    @property
    def num_bytes(self) -> int:
        """Memory that the ids take, as far as it is theirs alone, and what was picked for them."""
        picked = self._picked
        return ID_BYTES * len(self.ids) + (picked.columns.nbytes if picked else 0)

    def picked(self, holder: object, version: int = 0) -> Picked | None:
        """What was picked last, if it was from there and nothing has changed since."""
        last = self._picked
        return last if last is not None and last.holder is holder and last.version == version else None

    def keep(self, picked: Picked) -> Picked:
        """Keep it for the next search, unless it is too large."""
        self._picked = picked if picked.columns.nbytes <= self.MAX_BYTES else None
        return picked

    @classmethod
    def of(cls, ids: Sequence[str]) -> Among:
        """The same object, or one for these ids."""
        return ids if isinstance(ids, Among) else cls(ids)


class VectorStore(Protocol):
    """Vectors by id, in collections; ids and collection names are ASCII.

    Vectors are float32 and of one dimension within a collection. Every method may be called from
    several threads. A store raises BackendError when it fails.
    """

    def open(self) -> None:
        """Load what is needed; BackendError when another process owns the data."""

    def close(self) -> None:
        """Let go of it."""

    def create(self, collection: str) -> None:
        """Make a collection; one that is there stays as it is."""

    def drop(self, collection: str) -> None:
        """Delete a collection with its vectors; one that is not there is fine."""

    def upsert(self, collection: str, ids: Sequence[str], vectors: np.ndarray) -> None:
        """Add vectors, float32 [n, dim], or replace those with the same ids."""

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Delete vectors; ids that are not there are fine."""

    def query(
        self, collection: str, vectors: np.ndarray, k: int, allowed: Sequence[str] | None = None
    ) -> list[list[Near]]:
        """The ``k`` nearest for each row of ``vectors``, float32 [n, dim], best first.

        Args:
            collection: its name.
            vectors: the questions.
            k: how many; fewer come back when there are fewer.
            allowed: only these ids may be found; all when None. See `Among` for ids that are asked for again.
        """

    def count(self, collection: str) -> int:
        """How many vectors there are; 0 for a collection that is not there."""

    def ids(self, collection: str) -> set[str]:
        """The ids of all vectors."""

    def read(self, collection: str, ids: Sequence[str] | None = None) -> tuple[list[str], np.ndarray]:
        """Vectors by their ids, or all of them.

        Returns:
            The ids that are there, in no order, and float32 [n, dim] in the same; lengths may have become one.
        """


def nearest(ids: Sequence[str], matrix: np.ndarray, questions: np.ndarray, k: int) -> list[list[Near]]:
    """Exact cosine search.

    Args:
        ids: of the rows of ``matrix``.
        matrix: float32 [n, dim], rows of length one.
        questions: float32 [m, dim], any length.
        k: how many for each question.
    """
    if not ids or k < 1:
        return [[] for _ in questions]
    check_dimensions(questions.shape[1], matrix.shape[1])
    return best(ids, unit_rows(questions) @ matrix.T, k)


def products(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """``rows @ columns``, float32 [m, n], for few rows and many columns.

    OpenBLAS takes 0.33 ms for each of two or three rows by one vector after another and 0.7 by a matrix of them, and
    0.33 for each of seven rows, 0.21 for eight (10,000 columns of 384 numbers).
    """
    if len(rows) < FEW_ROWS:
        return np.array([row @ columns for row in rows], np.float32).reshape(len(rows), columns.shape[1])
    padded = np.pad(rows, ((0, -len(rows) % FEW_ROWS), (0, 0)))
    product: np.ndarray = (padded @ columns)[: len(rows)]
    return product


def check_dimensions(asked: int, held: int) -> None:
    """BackendError unless both are the same."""
    if asked != held:
        raise BackendError(f"vectors of dimension {asked} meet a collection of dimension {held}")


def best(ids: Sequence[str], scores: np.ndarray, k: int) -> list[list[Near]]:
    """The ``k`` highest of each row of scores, float32 [m, n], best first; ``ids`` are those of the columns."""
    k = min(k, len(ids))
    if k < 1:
        return [[] for _ in scores]
    found = []
    for row, places in zip(scores, np.argpartition(scores, -k, axis=1)[:, -k:], strict=True):
        order = places[np.lexsort((places, -row[places]))]
        found.append([Near(ids[i], float(row[i])) for i in order])
    return found


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """The rows of float32 [n, dim] at length one; a zero row stays zero."""
    rows = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: np.ndarray = rows / np.maximum(lengths, np.float32(1e-12))
    return unit
