"""How are the nearest of very many vectors found without looking at all: a graph of neighbours, in memory."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .base import Among, Near, Picked, best, check_dimensions, unit_rows

# Recall@10 among 30,000 passages (means of word vectors) is 0.976 for 128 looked at; twice the neighbours make it 0.984
# and cost three times as much.
NEIGHBOURS = 16
LOOKED_AT_TO_ADD = 128
LOOKED_AT = 128
CANDIDATES = 64
SLICE = 64
TOP = 10
SAME = 1e-4
LARGEST = 127
GROWTH = 1.25


def bytes_of(count: int, dimension: int) -> int:
    """Memory that a graph takes: float32 rows, i8 rows, links of 4 bytes on all levels, and ids."""
    return count * (5 * dimension + 12 * NEIGHBOURS + 200)


def _index_class() -> Any:
    """The class of usearch's index; ImportError where it is not installed, or cannot be loaded beside what is there."""
    # Each of them brings a C++ runtime of its own: an error that one raises was a segmentation fault with the other.
    if "openvino" in sys.modules:
        raise ImportError("usearch and OpenVINO cannot live in one process")
    try:
        from usearch.index import Index
    except ImportError as error:
        raise ImportError(f"pip install 'ragq[graph]' makes them faster ({error})") from error
    return Index


class Graph:
    """An HNSW graph (Malkov and Yashunin 2016) over vectors of one byte a number, and the vectors themselves.

    The graph proposes, the vectors of float32 decide, so scores are exact. What the graph does not lead to is lost for
    most graphs: 5 % of 30,000 templated sentences. Here each vector is searched for after it was added, and those that
    are not found are strays: every question looks at all of them. Slots of deleted vectors are not given again.

    Args:
        sample: float32 [m, dim] of length one; how large numbers become.
        expected: how many vectors will come.
    """

    def __init__(self, sample: np.ndarray, expected: int) -> None:
        self._dimension = sample.shape[1]
        top = float(np.quantile(np.abs(sample), 0.9995))
        self._scale = LARGEST / top if top > 0 else 1.0
        self._index: Any = _index_class()(
            ndim=self._dimension, metric="ip", dtype="i8", connectivity=NEIGHBOURS, expansion_add=LOOKED_AT_TO_ADD,
            expansion_search=LOOKED_AT,
        )  # fmt: skip
        self._rows = np.zeros((max(expected, SLICE), self._dimension), np.float32)
        self._ids: list[str | None] = []
        self._places: dict[str, int] = {}
        self._strays = np.zeros(0, np.int64)
        self._stray_columns = np.zeros((self._dimension, 0), np.float32)
        self._version = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._places)

    @property
    def num_strays(self) -> int:
        """Vectors that the graph does not lead to."""
        return len(self._strays)

    @property
    def num_holes(self) -> int:
        """Slots of vectors that are no more."""
        return len(self._ids) - len(self._places)

    @property
    def num_bytes(self) -> int:
        """Memory, about."""
        return bytes_of(max(len(self._rows), len(self._ids)), self._dimension)

    def put(self, ids: Sequence[str], vectors: np.ndarray, *, is_last: bool = True) -> None:
        """Add vectors, float32 [n, dim], or replace those with the same ids; searches go on in between.

        Args:
            ids: of the vectors.
            vectors: of any lengths.
            is_last: look for them at once; otherwise more follow, and then ``settle``.
        """
        last = {id_: place for place, id_ in enumerate(ids)}
        names, rows = list(last), unit_rows(vectors[list(last.values())])
        if len(rows):
            check_dimensions(rows.shape[1], self._dimension)
        for at in range(0, len(names), SLICE):
            with self._lock:
                places = self._put(names[at : at + SLICE], rows[at : at + SLICE])
                if is_last:
                    self._note(places)

    def _put(self, ids: Sequence[str], rows: np.ndarray) -> np.ndarray:
        self._remove(ids)
        first, end = len(self._ids), len(self._ids) + len(ids)
        if end > len(self._rows):
            grown = np.zeros((int(GROWTH * end), self._dimension), np.float32)
            grown[:first] = self._rows[:first]
            self._rows = grown
        self._rows[first:end] = rows
        self._ids += ids
        self._places.update(zip(ids, range(first, end), strict=True))
        places = np.arange(first, end)
        self._index.add(places, self._small(rows), threads=1)
        self._version += 1
        return places

    def settle(self) -> None:
        """Look for all vectors again: what is added later may cut off what was there."""
        for first in range(0, len(self._ids), SLICE):
            with self._lock:
                places = np.arange(first, min(first + SLICE, len(self._ids)))
                places = np.array([p for p in places if self._ids[p] is not None], np.int64)
                if len(places):
                    self._note(places)

    def _note(self, places: np.ndarray) -> None:
        """Call those of the places strays that the graph does not lead to."""
        found = self._found(self._small(self._rows[places]), min(len(self._places), TOP))
        lost = []
        for place, near in zip(places, found, strict=True):
            row = self._rows[place]
            if not len(near) or (self._rows[near] @ row).max() < row @ row - SAME:
                lost.append(place)
        if lost:
            self._set_strays(np.union1d(self._strays, lost))

    def _set_strays(self, places: np.ndarray) -> None:
        self._strays = places.astype(np.int64)
        self._stray_columns = np.ascontiguousarray(self._rows[self._strays].T)

    def _found(self, small: np.ndarray, wanted: int) -> list[np.ndarray]:
        """Places that the graph leads to, for each row of int8 [n, dim]."""
        self._index.expansion_search = max(LOOKED_AT, wanted)
        found = self._index.search(small, wanted, threads=1)
        keys = found.keys.reshape(len(small), -1).astype(np.int64)
        counts = np.broadcast_to(found.counts if len(small) > 1 else keys.shape[1], len(small))
        return [own[:n] for own, n in zip(keys, counts, strict=True)]

    def remove(self, ids: Sequence[str]) -> None:
        """Delete vectors; ids that are not there are fine."""
        with self._lock:
            self._remove(ids)

    def _remove(self, ids: Sequence[str]) -> None:
        gone = [self._places.pop(id_) for id_ in dict.fromkeys(ids) if id_ in self._places]
        if not gone:
            return
        for place in gone:
            self._ids[place] = None
        self._index.remove(np.array(gone))
        self._version += 1
        if np.isin(gone, self._strays).any():
            self._set_strays(np.setdiff1d(self._strays, gone))

    def nearest(self, questions: np.ndarray, k: int) -> list[list[Near]]:
        """The ``k`` nearest for each row of float32 [n, dim], scored exactly."""
        check_dimensions(questions.shape[1], self._dimension)
        rows = unit_rows(questions)
        with self._lock:
            if not self._places or k < 1:
                return [[] for _ in rows]
            if 2 * k > len(self._places):
                return self._scan(rows, k)
            wanted = min(len(self._places), max(CANDIDATES, 2 * k))
            found = self._found(self._small(rows), wanted)
            strays = self._nearest_strays(rows, k)
            return [self._scored(row, np.union1d(a, b), k) for row, a, b in zip(rows, found, strays, strict=True)]

    def _nearest_strays(self, rows: np.ndarray, k: int) -> Iterator[np.ndarray]:
        scores = rows @ self._stray_columns
        for row in scores:
            yield self._strays[np.argpartition(row, -k)[-k:]] if len(row) > k else self._strays

    def _scored(self, row: np.ndarray, places: np.ndarray, k: int) -> list[Near]:
        scores = self._rows[places] @ row
        order = np.lexsort((places, -scores))[:k]
        names = self._ids
        return [Near(id_, float(scores[i])) for i in order if (id_ := names[places[i]]) is not None]

    def _scan(self, rows: np.ndarray, k: int) -> list[list[Near]]:
        places = np.fromiter(self._places.values(), np.int64, len(self._places))
        return best(list(self._places), rows @ self._rows[places].T, k)

    def among(self, questions: np.ndarray, k: int, allowed: Among) -> list[list[Near]]:
        """The ``k`` nearest of those allowed for each row of float32 [n, dim]: each of them is looked at."""
        check_dimensions(questions.shape[1], self._dimension)
        rows = unit_rows(questions)
        with self._lock:
            picked = allowed.picked(self, self._version)
            if picked is None:
                ids = [id_ for id_ in allowed.ids if id_ in self._places]
                places = np.fromiter(map(self._places.__getitem__, ids), np.int64, len(ids))
                picked = allowed.keep(Picked(self, self._version, ids, np.ascontiguousarray(self._rows[places].T)))
        return best(picked.ids, rows @ picked.columns, k)

    def _small(self, rows: np.ndarray) -> np.ndarray:
        """int8 of the same shape."""
        return np.clip(np.rint(rows * self._scale), -LARGEST, LARGEST).astype(np.int8)
