"""How are large collections searched: by graphs in memory, which a thread builds while the other store answers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from queue import SimpleQueue

import numpy as np

from clients.errors import BackendError, RagqError
from clients.wire import Clock

from .base import Among, Near, VectorStore
from .graph import Graph, bytes_of
from .together import Together

MIN_VECTORS = 20_000
MAX_BYTES = 1 << 30
PAGE = 2000
MAX_HOLES = 0.25
RETRY_S = 60.0
STOP_S = 10.0
log = logging.getLogger(__name__)


class GraphStore:
    """Another store, whose large collections are searched by a copy in memory.

    The other store owns the vectors and answers until the copy is there, which takes about a millisecond of
    processor time per vector after the first search. What is written meanwhile is noted, and read again at the end.

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
        self._graphs: dict[str, Graph] = {}
        self._searched_at: dict[str, float] = {}
        self._changed: dict[str, set[str]] = {}
        self._left_until: dict[str, float] = {}
        self._wanted: SimpleQueue[str | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_open = False
        self._together = Together(self._answer)

    def open(self) -> None:
        """Open the other store; graphs are built when somebody searches."""
        self._store.open()
        self._is_open = True
        self._thread = threading.Thread(target=self._build_wanted, name="graphs", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Forget the graphs, and close the other store."""
        self._is_open = False
        self._wanted.put(None)
        if self._thread is not None:
            self._thread.join(STOP_S)
        with self._changing:
            self._graphs = {}
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
            graph = self._graphs.get(collection)
            self._left_until.pop(collection, None)
            if graph is not None:
                self._put(collection, graph, ids, np.asarray(vectors, np.float32))

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Delete vectors; ids that are not there are fine."""
        self._store.delete(collection, ids)
        with self._changing:
            self._changed.get(collection, set()).update(ids)
            if collection in self._graphs:
                self._graphs[collection].remove(ids)

    def query(
        self, collection: str, vectors: np.ndarray, k: int, allowed: Sequence[str] | None = None
    ) -> list[list[Near]]:
        """The ``k`` nearest for each row of float32 [n, dim]: by the graph where there is one, exactly scored."""
        graph = self._graph(collection)
        if graph is None:
            return self._store.query(collection, vectors, k, allowed)
        if allowed is not None:
            return graph.among(vectors, k, Among.of(allowed))
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
        return collection in self._graphs

    def _answer(self, collection: str, vectors: np.ndarray, k: int) -> list[list[Near]]:
        graph = self._graphs.get(collection)
        return self._store.query(collection, vectors, k) if graph is None else graph.nearest(vectors, k)

    def _graph(self, collection: str) -> Graph | None:
        """The graph, or None; then it is built if it is worth it."""
        now = self._clock()
        self._searched_at[collection] = now
        graph = self._graphs.get(collection)
        is_worn = graph is not None and graph.num_holes > MAX_HOLES * len(graph)
        if (graph is None or is_worn) and now >= self._left_until.get(collection, 0.0):
            self._left_until[collection] = now + RETRY_S
            self._wanted.put(collection)
        return graph

    def _put(self, collection: str, graph: Graph, ids: Sequence[str], vectors: np.ndarray) -> None:
        try:
            graph.put(ids, vectors)
        except BackendError:
            self._forget(collection)
            raise
        if self._num_bytes() > self._max_bytes:
            log.warning("%s has outgrown index.graph_mb; Chroma's own graph answers from now on", collection)
            self._forget(collection)

    def _build_wanted(self) -> None:
        while (collection := self._wanted.get()) is not None:
            try:
                self._build(collection)
            except RagqError as error:
                log.warning("no graph of %s for a minute: %s", collection, error.message)
            except ImportError as error:
                log.warning("large collections are searched by the store alone: %s", error)
                return
            finally:
                self._changed.pop(collection, None)

    def _build(self, collection: str) -> None:
        with self._changing:
            changed = self._changed[collection] = set()
        if not self._max_bytes or self._store.count(collection) < self._min_vectors:
            return
        ids = sorted(self._store.ids(collection))
        pages = self._pages(collection, ids)
        names, rows = next(pages, ([], np.zeros((0, 1), np.float32)))
        if not names or not self._has_room(collection, bytes_of(len(ids), rows.shape[1])):
            return
        graph = Graph(rows, len(ids))
        graph.put(names, rows, is_last=False)
        for names, rows in pages:
            graph.put(names, rows, is_last=False)
            if not self._is_open:
                return
        graph.settle()
        with self._changing:
            self._catch_up(collection, graph, sorted(changed))
            self._graphs = {**self._graphs, collection: graph}
            self._left_until.pop(collection, None)

    def _pages(self, collection: str, ids: Sequence[str]) -> Iterator[tuple[list[str], np.ndarray]]:
        for at in range(0, len(ids), PAGE):
            found, rows = self._store.read(collection, ids[at : at + PAGE])
            if found:
                yield found, rows

    def _catch_up(self, collection: str, graph: Graph, changed: Sequence[str]) -> None:
        """Read again what was written while the graph was built."""
        if not self._is_open or collection not in self._changed:
            raise BackendError("the collection was dropped while its graph was built")
        graph.remove(changed)
        for names, rows in self._pages(collection, changed):
            graph.put(names, rows)

    def _has_room(self, collection: str, num_bytes: int) -> bool:
        """Whether a graph fits; those that were searched longest ago make room if nobody asked for a minute."""
        now = self._clock()
        with self._changing:
            for name in sorted(self._graphs, key=lambda name: self._searched_at.get(name, 0.0)):
                is_needed = now - self._searched_at.get(name, 0.0) < RETRY_S
                if self._num_bytes() + num_bytes <= self._max_bytes or is_needed or name == collection:
                    break
                self._forget(name)
            return self._num_bytes() + num_bytes <= self._max_bytes

    def _num_bytes(self) -> int:
        return sum(graph.num_bytes for graph in self._graphs.values())

    def _forget(self, collection: str) -> None:
        self._left_until.pop(collection, None)
        self._changed.pop(collection, None)
        self._graphs = {name: graph for name, graph in self._graphs.items() if name != collection}
