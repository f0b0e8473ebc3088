"""Vectors in flat FAISS files, one for each collection, searched exactly in memory."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clients.errors import BackendError, MissingExtra
from clients.wire import Clock
from services.index.lock import DirectoryLock

from .base import Near, check_dimensions, nearest, unit_rows
from .together import Together

SAVE_EVERY_S = 30.0
NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
log = logging.getLogger(__name__)


class FaissStore:
    """`IndexFlatIP` over vectors of length one: exact, all in memory, for as many vectors as fit there.

    Each collection has a file that FAISS reads, and the ids beside it with a digest of that file. Both are written
    when half a minute has passed since the last time, and at the end; what a crash leaves unwritten, and what is
    damaged, is made anew from the records at the next start.

    Raises:
        MissingExtra: faiss-cpu is not installed.
    """

    def __init__(self, directory: Path, clock: Clock = time.monotonic) -> None:
        self._directory = directory
        self._clock = clock
        self._owner = DirectoryLock(directory)
        self._lock = threading.RLock()
        self._shelves: dict[str, _Shelf] = {}
        self._saved_at = clock()
        self._together = Together(self._answer)

    def open(self) -> None:
        """Lock the directory and read its files; a damaged one is begun anew."""
        try:
            import faiss  # noqa: F401
        except ImportError as error:
            raise MissingExtra("faiss-cpu", "faiss") from error
        self._owner.acquire()
        for path in sorted(self._directory.glob("*.faiss")):
            self._shelves[path.stem] = _read(path)
        self._saved_at = self._clock()

    def close(self) -> None:
        """Write what is unwritten, and let go of the directory."""
        with self._lock:
            try:
                self._save()
            finally:
                self._shelves.clear()
                self._owner.release()

    def create(self, collection: str) -> None:
        """Make a collection; one that is there stays as it is."""
        if not NAME.fullmatch(collection):
            raise BackendError(f"{collection!r} cannot name a file of vectors")
        with self._lock:
            self._shelves.setdefault(collection, _Shelf())

    def drop(self, collection: str) -> None:
        """Delete a collection with its files."""
        with self._lock:
            if self._shelves.pop(collection, None) is not None:
                _ids_file(self._file(collection)).unlink(missing_ok=True)
                self._file(collection).unlink(missing_ok=True)

    def upsert(self, collection: str, ids: Sequence[str], vectors: np.ndarray) -> None:
        """Add or replace vectors, float32 [n, dim]."""
        with self._lock:
            self._shelf(collection).put(ids, unit_rows(vectors))
            self._save_now_and_then()

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Delete vectors; ids that are not there are fine."""
        with self._lock:
            if collection in self._shelves:
                self._shelves[collection].remove(ids)
                self._save_now_and_then()

    def query(
        self, collection: str, vectors: np.ndarray, k: int, allowed: Sequence[str] | None = None
    ) -> list[list[Near]]:
        """The ``k`` nearest for each row of float32 [n, dim], exactly."""
        if allowed is None:
            return self._together.ask(collection, vectors, k)
        ids, rows = self.read(collection, allowed)
        return nearest(ids, rows, vectors, k)

    def count(self, collection: str) -> int:
        """How many vectors there are."""
        with self._lock:
            return len(self._shelves[collection].ids) if collection in self._shelves else 0

    def ids(self, collection: str) -> set[str]:
        """The ids of all vectors."""
        with self._lock:
            return set(self._shelves[collection].ids) if collection in self._shelves else set()

    def read(self, collection: str, ids: Sequence[str] | None = None) -> tuple[list[str], np.ndarray]:
        """Vectors by their ids, or all of them; float32 [n, dim], of length one."""
        with self._lock:
            return self._shelf(collection).read(ids)

    def _answer(self, collection: str, vectors: np.ndarray, k: int) -> list[list[Near]]:
        with self._lock:
            return self._shelf(collection).nearest(unit_rows(vectors), k)

    def _shelf(self, collection: str) -> _Shelf:
        if collection not in self._shelves:
            raise BackendError(f"the store has no collection '{collection}'")
        return self._shelves[collection]

    def _file(self, collection: str) -> Path:
        return self._directory / f"{collection}.faiss"

    def _save_now_and_then(self) -> None:
        if self._clock() - self._saved_at >= SAVE_EVERY_S:
            self._save()

    def _save(self) -> None:
        for collection, shelf in self._shelves.items():
            if shelf.is_changed:
                _write(self._file(collection), shelf)
        self._saved_at = self._clock()


class _Shelf:
    """One collection: an index, and the ids of its rows; FAISS keeps the order of what is left when rows go."""

    def __init__(self, index: Any = None, ids: Sequence[str] = ()) -> None:
        self.index = index
        self.ids = list(ids)
        self.places = {id_: place for place, id_ in enumerate(self.ids)}
        self.is_changed = False

    def put(self, ids: Sequence[str], rows: np.ndarray) -> None:
        import faiss

        if not len(ids):
            return
        if self.index is None or not self.ids:
            self.index = faiss.IndexFlatIP(rows.shape[1])
        check_dimensions(rows.shape[1], self.index.d)
        last = {id_: place for place, id_ in enumerate(ids)}
        self.remove(list(last))
        self.index.add(np.ascontiguousarray(rows[list(last.values())]))
        self.places.update((id_, len(self.ids) + number) for number, id_ in enumerate(last))
        self.ids += last
        self.is_changed = True

    def remove(self, ids: Sequence[str]) -> None:
        gone = set(ids) & self.places.keys()
        if not gone:
            return
        self.index.remove_ids(np.array([self.places[id_] for id_ in gone], np.int64))
        self.ids = [id_ for id_ in self.ids if id_ not in gone]
        self.places = {id_: place for place, id_ in enumerate(self.ids)}
        self.is_changed = True

    def nearest(self, questions: np.ndarray, k: int) -> list[list[Near]]:
        if not self.ids:
            return [[] for _ in questions]
        check_dimensions(questions.shape[1], self.index.d)
        scores, places = self.index.search(questions, min(k, len(self.ids)))
        return [
            [Near(self.ids[place], float(score)) for place, score in zip(row, own, strict=True)]
            for row, own in zip(places, scores, strict=True)
        ]

    def read(self, ids: Sequence[str] | None) -> tuple[list[str], np.ndarray]:
        found = list(self.ids) if ids is None else [id_ for id_ in dict.fromkeys(ids) if id_ in self.places]
        if not found:
            return [], np.zeros((0, 0), np.float32)
        rows: np.ndarray = self.index.reconstruct_batch(np.array([self.places[id_] for id_ in found], np.int64))
        return found, rows


def _ids_file(path: Path) -> Path:
    return path.with_suffix(".ids.json")


def _write(path: Path, shelf: _Shelf) -> None:
    """The vectors first: ids that name another digest mean that a process died in between."""
    import faiss

    if shelf.index is None:
        return
    try:
        content = faiss.serialize_index(shelf.index).tobytes()
        _replace(path, content)
        told = {"sha256": hashlib.sha256(content).hexdigest(), "ids": shelf.ids}
        _replace(_ids_file(path), json.dumps(told).encode())
    except (OSError, RuntimeError) as error:
        raise BackendError(f"{path} cannot be written: {error}", help="check the disk's free space") from error
    shelf.is_changed = False


def _replace(path: Path, content: bytes) -> None:
    part = path.with_suffix(path.suffix + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _read(path: Path) -> _Shelf:
    """A collection from its files; an empty one when they are damaged."""
    import faiss

    try:
        content = path.read_bytes()
        told = json.loads(_ids_file(path).read_bytes())
        if hashlib.sha256(content).hexdigest() != told["sha256"]:
            raise ValueError("the vectors are not those that the ids were written for")
        return _Shelf(faiss.deserialize_index(np.frombuffer(content, np.uint8)), told["ids"])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        log.warning("%s is damaged and is made anew from the records: %s", path, error)
        return _Shelf()
