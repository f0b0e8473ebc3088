"""Vectors in memory, searched exactly: the reference, for tests and small collections."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from clients.errors import BackendError

from .base import Near, nearest, unit_rows


class MemoryStore:
    """Keeps nothing on disk; after a restart the service fills it from the records."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._collections: dict[str, _Shelf] = {}

    def open(self) -> None:
        """Nothing to load."""

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._collections.clear()

    def create(self, collection: str) -> None:
        """Make a collection; one that is there stays as it is."""
        with self._lock:
            self._collections.setdefault(collection, _Shelf())

    def drop(self, collection: str) -> None:
        """Delete a collection."""
        with self._lock:
            self._collections.pop(collection, None)

    def upsert(self, collection: str, ids: Sequence[str], vectors: np.ndarray) -> None:
        """Add or replace vectors, float32 [n, dim]."""
        with self._lock:
            self._shelf(collection).put(ids, unit_rows(vectors))

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Delete vectors."""
        with self._lock:
            if collection in self._collections:
                self._shelf(collection).remove(ids)

    def query(
        self, collection: str, vectors: np.ndarray, k: int, allowed: Sequence[str] | None = None
    ) -> list[list[Near]]:
        """The ``k`` nearest for each row of float32 [n, dim], exactly."""
        with self._lock:
            ids, matrix = self._shelf(collection).table(allowed)
        return nearest(ids, matrix, vectors, k)

    def count(self, collection: str) -> int:
        """How many vectors there are."""
        with self._lock:
            return len(self._collections[collection].places) if collection in self._collections else 0

    def ids(self, collection: str) -> set[str]:
        """The ids of all vectors."""
        with self._lock:
            return set(self._collections[collection].places) if collection in self._collections else set()

    def read(self, collection: str, ids: Sequence[str] | None = None) -> tuple[list[str], np.ndarray]:
        """Vectors by their ids, or all of them; float32 [n, dim], of length one."""
        with self._lock:
            return self._shelf(collection).table(ids)

    def _shelf(self, collection: str) -> _Shelf:
        if collection not in self._collections:
            raise BackendError(f"the store has no collection '{collection}'")
        return self._collections[collection]


class _Shelf:
    """One collection: a table that doubles when it is full; a hole is filled by the last row."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self._ids: list[str] = []
        self._rows = np.zeros((0, 0), np.float32)

    def put(self, ids: Sequence[str], rows: np.ndarray) -> None:
        if not len(ids):
            return
        if self._ids and rows.shape[1] != self._rows.shape[1]:
            raise BackendError(
                f"vectors of dimension {rows.shape[1]} for a collection of dimension {self._rows.shape[1]}"
            )
        self._reserve(len(self._ids) + len(ids), rows.shape[1])
        for id_, row in zip(ids, rows, strict=True):
            place = self.places.setdefault(id_, len(self._ids))
            if place == len(self._ids):
                self._ids.append(id_)
            self._rows[place] = row

    def remove(self, ids: Sequence[str]) -> None:
        for id_ in ids:
            place = self.places.pop(id_, None)
            if place is None:
                continue
            last = self._ids.pop()
            if last != id_:
                self._ids[place] = last
                self.places[last] = place
                self._rows[place] = self._rows[len(self._ids)]

    def table(self, allowed: Sequence[str] | None) -> tuple[list[str], np.ndarray]:
        """Ids and rows to search, as copies of their own: rows move when others are deleted."""
        if allowed is None:
            return list(self._ids), self._rows[: len(self._ids)].copy()
        ids = [id_ for id_ in allowed if id_ in self.places]
        return ids, self._rows[[self.places[id_] for id_ in ids]]

    def _reserve(self, wanted: int, dimension: int) -> None:
        if not self._ids:
            self._rows = np.zeros((wanted, dimension), np.float32)
        elif wanted > len(self._rows):
            grown = np.zeros((max(wanted, 2 * len(self._rows)), dimension), np.float32)
            grown[: len(self._ids)] = self._rows[: len(self._ids)]
            self._rows = grown
