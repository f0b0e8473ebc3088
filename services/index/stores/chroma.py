"""Vectors in an embedded Chroma, which is owned by exactly one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from clients.errors import BackendError
from services.index.lock import DirectoryLock

from .base import Near, nearest, unit_rows
from .portions import Portions, Precedence
from .together import Together

READ_BATCH = 5000
DELETE_BATCH = 256
# Each page passes over all before it: with 10,000, the ids of 215,000 vectors took 7 seconds of a processor; now 2.
GET_BATCH = 50_000
MAX_SCANNED = 500
MAX_COLLECTIONS = 100_000
# With 16/100/100 the graph did not find 19 % of 3,000 templated sentences by their own vectors, with these 2 %; to
# build it takes twice as long, which is little beside embedding.
HNSW = {"space": "cosine", "max_neighbors": 32, "ef_construction": 200, "ef_search": 200}


class ChromaStore:
    """Chroma's persistent client in this process.

    Args:
        directory: of its files.
        precedence: of searches over what is written.

    Two processes on one directory silently lose vectors, so the directory is locked. What is asked
    while a query runs goes as one call after it: a call of many questions costs a seventh per question.
    """

    def __init__(self, directory: Path, precedence: Precedence | None = None) -> None:
        self._directory = directory
        self._precedence = precedence or Precedence()
        self._portions = Portions()
        self._lock = DirectoryLock(directory)
        self._client: Any = None
        self._known: dict[str, Any] = {}
        self._together = Together(self._ask)

    def open(self) -> None:
        """Lock the directory and open it; BackendError when another process owns it."""
        self._lock.acquire()
        try:
            import chromadb
            from chromadb.config import Settings

            settings = Settings(anonymized_telemetry=False, allow_reset=False)
            self._client = chromadb.PersistentClient(str(self._directory), settings=settings)
        except Exception as error:
            self._lock.release()
            raise BackendError(
                f"Chroma cannot open {self._directory}: {error}",
                help="move the directory away: the vectors are written anew from the records at the next start",
            ) from error

    def close(self) -> None:
        """Let go of the directory."""
        self._known.clear()
        if self._client is not None:
            self._client.close()
            self._client = None
        self._lock.release()

    def create(self, collection: str) -> None:
        """Make a collection; one that is there stays as it is."""
        self._known[collection] = _guarded(
            "create a collection",
            self._client.get_or_create_collection,
            name=collection, configuration={"hnsw": HNSW}, embedding_function=None,
        )  # fmt: skip

    def drop(self, collection: str) -> None:
        """Delete a collection with its vectors."""
        self._known.pop(collection, None)
        if collection in self._names():
            _guarded("delete a collection", self._client.delete_collection, name=collection)

    def upsert(self, collection: str, ids: Sequence[str], vectors: np.ndarray) -> None:
        """Add or replace vectors, float32 [n, dim], in portions between which searches have their turn."""
        target = self._collection(collection)
        rows, at = np.ascontiguousarray(vectors, np.float32), 0
        while at < len(ids):
            self._precedence.give_way()
            part = slice(at, at + self._portions.size)
            names, began = list(ids[part]), time.monotonic()
            _guarded("add vectors", target.upsert, ids=names, embeddings=rows[part])
            self._portions.took(len(names), time.monotonic() - began)
            at += len(names)

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Delete vectors; ids that are not there are fine."""
        if collection not in self._known and collection not in self._names():
            return
        target = self._collection(collection)
        for at in range(0, len(ids), DELETE_BATCH):
            self._precedence.give_way()
            _guarded("delete vectors", target.delete, ids=list(ids[at : at + DELETE_BATCH]))

    def query(
        self, collection: str, vectors: np.ndarray, k: int, allowed: Sequence[str] | None = None
    ) -> list[list[Near]]:
        """The ``k`` nearest for each row of float32 [n, dim].

        Up to 500 ``allowed`` vectors are read and scanned, more are a filter of Chroma's. Measured among 40,000: 100
        take 6 ms of processor time by the scan and 34 by the filter, 1000 take 45 and 13.
        """
        if allowed is None:
            return self._together.ask(collection, vectors, k)
        if len(allowed) > MAX_SCANNED:
            # The filter fails when an id is not there; reading leaves it out.
            with suppress(BackendError):
                return self._ask(collection, np.ascontiguousarray(vectors, np.float32), k, ids=list(allowed))
        ids, rows = self.read(collection, allowed)
        return nearest(ids, unit_rows(rows), vectors, k)

    def count(self, collection: str) -> int:
        """How many vectors there are; 0 for a collection that is not there."""
        if collection not in self._known and collection not in self._names():
            return 0
        target = self._collection(collection)
        return int(_guarded("count vectors", target.count))

    def ids(self, collection: str) -> set[str]:
        """The ids of all vectors."""
        if collection not in self._known and collection not in self._names():
            return set()
        target = self._collection(collection)
        found: set[str] = set()
        while True:
            page = _guarded("list vectors", target.get, limit=GET_BATCH, offset=len(found), include=[])
            found.update(page["ids"])
            if len(page["ids"]) < GET_BATCH:
                return found

    def read(self, collection: str, ids: Sequence[str] | None = None) -> tuple[list[str], np.ndarray]:
        """Vectors by their ids, or all of them; float32 [n, dim]."""
        target = self._collection(collection)
        asked: list[dict[str, Any]] = (
            [{"limit": READ_BATCH, "offset": at} for at in range(0, self.count(collection), READ_BATCH)]
            if ids is None
            else [{"ids": list(ids[at : at + READ_BATCH])} for at in range(0, len(ids), READ_BATCH)]
        )
        pages = [_guarded("read vectors", target.get, include=["embeddings"], **part) for part in asked]
        found = [id_ for page in pages for id_ in page["ids"]]
        rows = [np.asarray(page["embeddings"], np.float32) for page in pages if page["ids"]]
        return found, np.concatenate(rows) if rows else np.zeros((0, 0), np.float32)

    def _ask(self, name: str, vectors: np.ndarray, k: int, **among: list[str]) -> list[list[Near]]:
        target = self._collection(name)
        reply = _guarded("query", target.query, query_embeddings=vectors, n_results=k, include=["distances"], **among)
        return [
            [Near(id_, 1.0 - float(distance)) for id_, distance in zip(row, far, strict=True)]
            for row, far in zip(reply["ids"], reply["distances"], strict=True)
        ]

    def _collection(self, name: str) -> Any:
        if name not in self._known:
            self._known[name] = _guarded(
                f"open the collection '{name}'", self._client.get_collection, name=name, embedding_function=None
            )
        return self._known[name]

    def _names(self) -> set[str]:
        return {c.name for c in _guarded("list collections", self._client.list_collections, limit=MAX_COLLECTIONS)}


def _guarded(what: str, call: Callable[..., Any], **arguments: object) -> Any:
    """The call's answer; whatever Chroma raises becomes BackendError."""
    try:
        return call(**arguments)
    except Exception as error:
        raise BackendError(f"Chroma could not {what}: {error}", help="ragq doctor checks the data directory") from error
