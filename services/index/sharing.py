"""How do several processes search vectors that one of them writes to a server?"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clients.errors import BackendError

from .catalog import Catalog, place_of
from .keyword import ANALYZER, KeywordIndex, KeywordIndexes, sound
from .stores.base import Near, VectorStore
from .stores.exact import MAX_VECTORS, ExactStore


@dataclass(frozen=True, slots=True)
class _Copied:
    """What a copy in memory was made of: the ids at one moment of the records, and the number of that moment."""

    number: int
    ids: frozenset[str]


class SharedStore:
    """A server's vectors, whose small collections are searched exactly by copies in memory.

    Copies are made from the records, and brought up to date before a search whenever the collection's number of changes
    is another than theirs, so no process answers from an old one. What is written goes to the server alone.

    Args:
        catalog: the records, and the numbers of changes.
        server: holds the vectors for everyone.
        max_vectors: larger collections are left to the server.
    """

    def __init__(self, catalog: Catalog, server: VectorStore, max_vectors: int = MAX_VECTORS) -> None:
        self._server = server
        self._records = _Records(catalog, server, max_vectors)
        self._exact = ExactStore(self._records, max_vectors)
        self._lock = threading.Lock()

    def open(self) -> None:
        """Nothing to load."""
        self._server.open()

    def close(self) -> None:
        """Forget the copies, and let go of the server."""
        self._exact.close()
        self._server.close()

    def create(self, collection: str) -> None:
        """Make a collection; one that is there stays as it is."""
        self._server.create(collection)

    def drop(self, collection: str) -> None:
        """Delete a collection with its vectors."""
        self._exact.drop(collection)
        self._server.drop(collection)

    def upsert(self, collection: str, ids: Sequence[str], vectors: np.ndarray) -> None:
        """Add or replace vectors, float32 [n, dim]."""
        self._server.upsert(collection, ids, vectors)

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Delete vectors; ids that are not there are fine."""
        self._server.delete(collection, ids)

    def query(
        self, collection: str, vectors: np.ndarray, k: int, allowed: Sequence[str] | None = None
    ) -> list[list[Near]]:
        """The ``k`` nearest for each row of float32 [n, dim], among all that was there when the search began."""
        with self._lock:
            gone, ids, rows = self._records.renewed(collection)
            if gone:
                self._exact.delete(collection, gone)
            if ids:
                self._exact.upsert(collection, ids, rows)
        return self._exact.query(collection, vectors, k, allowed)

    def count(self, collection: str) -> int:
        """How many vectors the server has."""
        return self._server.count(collection)

    def ids(self, collection: str) -> set[str]:
        """The ids of all vectors that the server has."""
        return self._server.ids(collection)

    def read(self, collection: str, ids: Sequence[str] | None = None) -> tuple[list[str], np.ndarray]:
        """Vectors as the server has them."""
        return self._server.read(collection, ids)


NOTHING = np.zeros((0, 0), np.float32)


class _Records:
    """What the copies are made from: a store that only reads, and remembers what it gave."""

    def __init__(self, catalog: Catalog, server: VectorStore, max_vectors: int) -> None:
        self._catalog = catalog
        self._entries = catalog.documents.entries
        self._server = server
        self._max_vectors = max_vectors
        self._copied: dict[str, _Copied] = {}

    def renewed(self, collection: str) -> tuple[list[str], list[str], np.ndarray]:
        """What a copy has too much, and the ids and vectors that it lacks, float32 [n, dim]; they count as given."""
        copied = self._copied.get(collection)
        if copied is None or copied.number == self._catalog.changes.number(place_of(collection)[0]):
            return [], [], NOTHING
        with self._catalog.database.snapshot():
            now = self._now(collection)
            ids, rows = self._vectors(collection, sorted(now.ids - copied.ids))
        self._copied[collection] = now
        if len(now.ids) > self._max_vectors:
            del self._copied[collection]
        return sorted(copied.ids - now.ids), ids, rows

    def _now(self, collection: str) -> _Copied:
        number, _ = place_of(collection)
        return _Copied(self._catalog.changes.number(number), frozenset(self._entries.wanted(number)))

    def _vectors(self, collection: str, ids: Sequence[str]) -> tuple[list[str], np.ndarray]:
        number, generation = place_of(collection)
        found = list(self._entries.by_id(number, ids, generation)) if ids else []
        return [e.id for e in found], np.stack([e.vector for e in found]) if found else NOTHING

    def count(self, collection: str) -> int:
        """How many vectors a copy would hold; large collections are not counted to the last one."""
        return self._entries.count(place_of(collection)[0], self._max_vectors + 1)

    def ids(self, collection: str) -> set[str]:
        """The ids of all vectors."""
        return set(self._now(collection).ids)

    def read(self, collection: str, ids: Sequence[str] | None = None) -> tuple[list[str], np.ndarray]:
        """Vectors by their ids, or all of them; float32 [n, dim]."""
        with self._catalog.database.snapshot():
            now = self._now(collection)
            found = self._vectors(collection, sorted(now.ids if ids is None else now.ids.intersection(ids)))
        if ids is None:
            self._copied[collection] = now
        return found

    def query(
        self, collection: str, vectors: np.ndarray, k: int, allowed: Sequence[str] | None = None
    ) -> list[list[Near]]:
        """The server answers where there is no copy."""
        return self._server.query(collection, vectors, k, allowed)

    def open(self) -> None:
        """The records are open."""

    def close(self) -> None:
        """Whoever opened the records closes them."""

    def create(self, collection: str) -> None:
        """Only the server has to know."""

    def drop(self, collection: str) -> None:
        """No copy of it is kept up any more."""
        self._copied.pop(collection, None)

    def upsert(self, collection: str, ids: Sequence[str], vectors: np.ndarray) -> None:
        """The records have them."""

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """The records have not got them any more."""


class SharedKeywordIndexes(KeywordIndexes):
    """Keyword indexes that another process writes: read anew when the collection's number of changes is another."""

    def __init__(self, directory: Path, catalog: Catalog) -> None:
        super().__init__(directory)
        self._catalog = catalog
        self._seen: dict[str, int] = {}

    def of(self, collection: str) -> KeywordIndex:
        """The index of a collection, by its name inside the stores, with all that was there when the search began."""
        number = self._catalog.changes.number(place_of(collection)[0])
        with self._lock:
            index = self._open.get(collection)
            if index is None or self._seen.get(collection) != number:
                index = self._renewed(collection, index)
                self._open[collection], self._seen[collection] = index, number
            return index

    def _renewed(self, collection: str, index: KeywordIndex | None) -> KeywordIndex:
        if index is not None:
            with suppress(BackendError):
                index.reload()
                return index
        return _ReadIndex(self._directory / collection)


class _ReadIndex(KeywordIndex):
    """An index that is never written here; one that is not there yet is empty, and cannot be reloaded."""

    def _open(self) -> Any:
        import tantivy

        self._is_there = tantivy.Index.exists(str(self._directory))
        with sound("opened"):
            index = tantivy.Index(self._schema, path=str(self._directory) if self._is_there else None)
        index.register_tokenizer(ANALYZER, self._analyzer)
        return index

    def reload(self) -> None:
        """Look at what was committed last; BackendError when there was nothing to be read."""
        if not self._is_there:
            raise BackendError("there was no index to read")
        super().reload()
