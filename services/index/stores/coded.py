"""How are large collections searched: by codes in memory, which a thread makes while the other store answers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from queue import SimpleQueue

import numpy as np

from clients.errors import BackendError, RagqError
from clients.wire import Clock

from .base import Among, Near, VectorStore, unit_rows
from .codes import Codes, bytes_of
from .together import Together

MIN_VECTORS = 20_000
MAX_BYTES = 1 << 30
PAGE = 2000
OUTGROWN = 2
RETRY_S = 60.0
STOP_S = 10.0
log = logging.getLogger(__name__)


class CodedStore:
    """Another store, whose large collections are searched by a copy in memory.

    The other store owns the vectors and answers until the copy is there, which takes seconds after the first search;
    so it is not kept on disk. What is written meanwhile is noted, and read again at the end. A collection that has
    doubled is copied anew, because its codes were learned from half of it.

    Args:
        store: owns the vectors.
        min_vectors: smaller collections are left to the other store.
        max_bytes: for all copies; a collection that does not fit is left to the other store.
        clock: seconds, rising.
    """

    def __init__(
        self,
        store: VectorStore,
        min_vectors: int = MIN_VECTORS,
        max_bytes: int = MAX_BYTES,
        clock: Clock = time.monotonic,
    ) -> None:
        self._store = store
        self._min_vectors = min_vectors
        self._max_bytes = max_bytes
        self._clock = clock
        self._changing = threading.Lock()
        self._copies: dict[str, Codes] = {}
        self._searched_at: dict[str, float] = {}
        self._changed: dict[str, set[str]] = {}
        self._left_until: dict[str, float] = {}
        self._wanted: SimpleQueue[str | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_open = False
        self._together = Together(self._answer)

    def open(self) -> None:
        """Open the other store; copies are made when somebody searches."""
        self._store.open()
        self._is_open = True
        self._thread = threading.Thread(target=self._copy_wanted, name="codes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Forget the copies, and close the other store."""
        self._is_open = False
        self._wanted.put(None)
        if self._thread is not None:
            self._thread.join(STOP_S)
        with self._changing:
            self._copies = {}
            self._changed.clear()
            self._left_until.clear()
        self._store.close()

    def create(self, collection: str) -> None:
        """Make a collection; one that is there stays as it is."""
        self._store.create(collection)

    def drop(self, collection: str) -> None:
        """Delete a collection with its vectors."""
        with self._changing:
            self._forget(collection)
        self._store.drop(collection)

    def upsert(self, collection: str, ids: Sequence[str], vectors: np.ndarray) -> None:
        """Add or replace vectors, float32 [n, dim]."""
        self._store.upsert(collection, ids, vectors)
        with self._changing:
            self._changed.get(collection, set()).update(ids)
            copy = self._copies.get(collection)
            self._left_until.pop(collection, None)
            if copy is not None:
                self._put(collection, copy, ids, np.asarray(vectors, np.float32))

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Delete vectors; ids that are not there are fine."""
        self._store.delete(collection, ids)
        with self._changing:
            self._changed.get(collection, set()).update(ids)
            if collection in self._copies:
                self._copies[collection].remove(ids)

    def query(
        self, collection: str, vectors: np.ndarray, k: int, allowed: Sequence[str] | None = None
    ) -> list[list[Near]]:
        """The ``k`` nearest for each row of float32 [n, dim]: by the copy where there is one, exactly scored."""
        copy = self._copy_of(collection)
        if copy is None:
            return self._store.query(collection, vectors, k, allowed)
        if allowed is not None:
            return copy.among(vectors, k, Among.of(allowed))
        return self._together.ask(collection, vectors, k)

    def count(self, collection: str) -> int:
        """How many vectors there are."""
        return self._store.count(collection)

    def ids(self, collection: str) -> set[str]:
        """The ids of all vectors."""
        return self._store.ids(collection)

    def read(self, collection: str, ids: Sequence[str] | None = None) -> tuple[list[str], np.ndarray]:
        """Vectors by their ids, or all of them."""
        return self._store.read(collection, ids)

    def is_ready(self, collection: str) -> bool:
        """Whether the copy answers."""
        return collection in self._copies

    def _answer(self, collection: str, vectors: np.ndarray, k: int) -> list[list[Near]]:
        copy = self._copies.get(collection)
        return self._store.query(collection, vectors, k) if copy is None else copy.nearest(vectors, k)

    def _copy_of(self, collection: str) -> Codes | None:
        """The copy, or None; then one is made if it is worth it."""
        now = self._clock()
        self._searched_at[collection] = now
        copy = self._copies.get(collection)
        is_due = copy is None or len(copy) > OUTGROWN * copy.num_learned
        if is_due and now >= self._left_until.get(collection, 0.0):
            self._left_until[collection] = now + RETRY_S
            self._wanted.put(collection)
        return copy

    def _put(self, collection: str, copy: Codes, ids: Sequence[str], vectors: np.ndarray) -> None:
        try:
            copy.put(ids, vectors)
        except BackendError:
            self._forget(collection)
            raise
        if self._num_bytes() > self._max_bytes:
            log.warning("%s has outgrown index.codes_mb; Chroma's own graph answers from now on", collection)
            self._forget(collection)

    def _copy_wanted(self) -> None:
        while (collection := self._wanted.get()) is not None:
            try:
                self._copy(collection)
            except RagqError as error:
                log.warning("no copy of %s for a minute: %s", collection, error.message)
            except ImportError as error:
                log.warning("large collections are searched by the store alone: %s", error)
                return
            finally:
                self._changed.pop(collection, None)

    def _copy(self, collection: str) -> None:
        with self._changing:
            changed = self._changed[collection] = set()
        if not self._max_bytes or self._store.count(collection) < self._min_vectors:
            return
        names, rows = self._read_all(collection)
        if not names:
            return
        copy = Codes(names, rows)
        with self._changing:
            self._catch_up(collection, copy, sorted(changed))
            self._copies = {**self._copies, collection: copy}
            self._left_until.pop(collection, None)

    def _read_all(self, collection: str) -> tuple[list[str], np.ndarray]:
        """Ids, and float32 [n, dim] of length one; none where there is no room for them, or no time any more."""
        ids = sorted(self._store.ids(collection))
        names: list[str] = []
        rows = np.zeros((0, 0), np.float32)
        for found, page in self._pages(collection, ids):
            if not names:
                if not self._has_room(collection, bytes_of(len(ids), page.shape[1])):
                    break
                rows = np.zeros((len(ids), page.shape[1]), np.float32)
            rows[len(names) : len(names) + len(found)] = unit_rows(page)
            names += found
            if not self._is_open:
                return [], rows
        return names, rows[: len(names)]

    def _pages(self, collection: str, ids: Sequence[str]) -> Iterator[tuple[list[str], np.ndarray]]:
        for at in range(0, len(ids), PAGE):
            found, rows = self._store.read(collection, ids[at : at + PAGE])
            if found:
                yield found, rows

    def _catch_up(self, collection: str, copy: Codes, changed: Sequence[str]) -> None:
        """Read again what was written while the copy was made."""
        if not self._is_open or collection not in self._changed:
            raise BackendError("the collection was dropped while its vectors were copied")
        copy.remove(changed)
        for names, rows in self._pages(collection, changed):
            copy.put(names, rows)

    def _has_room(self, collection: str, num_bytes: int) -> bool:
        """Whether a copy fits; those that were searched longest ago make room if nobody asked for a minute."""
        now = self._clock()
        with self._changing:
            for name in sorted(self._copies, key=lambda name: self._searched_at.get(name, 0.0)):
                is_needed = now - self._searched_at.get(name, 0.0) < RETRY_S
                if self._num_bytes() + num_bytes <= self._max_bytes or is_needed or name == collection:
                    break
                self._forget(name)
            return self._num_bytes() + num_bytes <= self._max_bytes

    def _num_bytes(self) -> int:
        return sum(copy.num_bytes for copy in self._copies.values())

    def _forget(self, collection: str) -> None:
        self._left_until.pop(collection, None)
        self._changed.pop(collection, None)
        self._copies = {name: copy for name, copy in self._copies.items() if name != collection}
