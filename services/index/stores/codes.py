"""How are the nearest of very many vectors found: all are looked at, in an eighth of a byte for each number."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .base import Among, Near, Picked, best, check_dimensions, unit_rows
from .rotation import balanced

# Codes of 4 bits for a vector. For 384 numbers 96, 112 and 128 codes take 0.21, 0.24 and 0.28 ms to scan 100,000;
# recall@10 is 0.994, 0.995 and 0.997 for e5-small's vectors, 0.992, 0.995 and 0.998 for means of word vectors.
MIN_CODES = 96
NUMBERS_IN_CODE = 4
MAX_CODES = 256
NUM_CENTRES = 16
CANDIDATES = 128
CANDIDATES_PER_HIT = 4
WIDER = 8
SCAN_SHARE = 4
# Standard deviations of the codes' errors. With 2 instead of 2.5, 0.3 % of the hits are lost that are found otherwise.
DOUBT = 2.5
SAME = 1e-6
MAX_SAMPLE = 10_000
# How FAISS takes so many questions together, a digit for each pass over the codes: by two is a tenth faster than its
# own choice (AVX2). More questions than eight go by eight.
PAIRS = (0x1, 0x2, 0x21, 0x22, 0x221, 0x222, 0x2221, 0x2222)
SLICE = 64
GROWTH = 1.25


def num_codes(dimension: int) -> int:
    """How many for a vector."""
    return min(dimension, max(MIN_CODES, min(dimension // NUMBERS_IN_CODE, MAX_CODES)))


def bytes_of(count: int, dimension: int) -> int:
    """Memory that they take: float32 rows, codes, and ids."""
    return count * (4 * dimension + num_codes(dimension) // 2 + 200)


def _faiss() -> Any:
    """The module; ImportError where it is not installed."""
    try:
        import faiss
    except ImportError as error:
        raise ImportError(f"pip install 'ragq[faiss]' makes them faster ({error})") from error
    return faiss


class Codes:
    """Vectors as product codes of 4 bits (Jégou, Douze and Schmid 2011), and the vectors themselves.

    A scan of the codes proposes 128, the vectors of float32 decide, so scores are exact. Codes err; by how much they do
    for a question is seen from its candidates. Where a vector that was not proposed may well be nearer than the last
    hit (thousands of sentences that differ in a number have the same codes), eight times as many are proposed, at last
    all are looked at.

    Args:
        ids: of the vectors, each once.
        rows: float32 [n, dim] of length one, at least one; kept, and what the codes are learned from.

    Raises:
        ImportError: faiss-cpu is not installed.
    """

    def __init__(self, ids: Sequence[str], rows: np.ndarray) -> None:
        self._faiss = _faiss()
        self._ids = list(ids)
        self._rows = rows
        self._places = {id_: place for place, id_ in enumerate(self._ids)}
        self._version = 0
        self._lock = threading.Lock()
        self.num_learned = len(self._ids)
        self._one_thread()
        self._index: Any = self._learned()
        for at in range(0, len(rows), MAX_SAMPLE):
            self._index.add(self._turned(rows[at : at + MAX_SAMPLE]))

    def _learned(self) -> Any:
        """An empty index whose codes suit a sample of the rows."""
        chosen = np.random.default_rng(0).permutation(len(self._rows))[:MAX_SAMPLE]
        sample = self._rows[np.resize(chosen, max(len(chosen), NUM_CENTRES))]
        groups = num_codes(sample.shape[1])
        self._rotation = balanced(sample, groups)
        index = self._faiss.IndexPQFastScan(self._rotation.shape[1], groups, 4, self._faiss.METRIC_INNER_PRODUCT)
        index.pq.cp.min_points_per_centroid = 1
        index.train(self._turned(sample))
        return index

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def num_bytes(self) -> int:
        """Memory, about."""
        return bytes_of(len(self._rows), self._rows.shape[1])

    def put(self, ids: Sequence[str], vectors: np.ndarray) -> None:
        """Add vectors, float32 [n, dim] of any lengths, or replace those of the same ids; searches go on in between."""
        last = {id_: place for place, id_ in enumerate(ids)}
        names, rows = list(last), unit_rows(vectors[list(last.values())])
        if len(rows):
            check_dimensions(rows.shape[1], self._rows.shape[1])
        self._one_thread()
        for at in range(0, len(names), SLICE):
            with self._lock:
                self._put(names[at : at + SLICE], rows[at : at + SLICE])

    def _put(self, ids: Sequence[str], rows: np.ndarray) -> None:
        self._remove(ids)
        first, end = len(self._ids), len(self._ids) + len(ids)
        if end > len(self._rows):
            grown = np.zeros((int(GROWTH * end), self._rows.shape[1]), np.float32)
            grown[:first] = self._rows[:first]
            self._rows = grown
        self._rows[first:end] = rows
        self._ids += ids
        self._places.update(zip(ids, range(first, end), strict=True))
        self._index.add(self._turned(rows))
        self._version += 1

    def remove(self, ids: Sequence[str]) -> None:
        """Delete vectors; ids that are not there are fine."""
        with self._lock:
            self._remove(ids)

    def _remove(self, ids: Sequence[str]) -> None:
        """The last one takes the place of what goes."""
        gone = [id_ for id_ in dict.fromkeys(ids) if id_ in self._places]
        if not gone:
            return
        packer = self._index.get_CodePacker()
        content = self._faiss.rev_swig_ptr(self._index.codes.data(), self._index.codes.size())
        blocks = content.reshape(-1, packer.block_size)
        for id_ in gone:
            place, last = self._places.pop(id_), len(self._ids) - 1
            name = self._ids.pop()
            if place != last:
                self._ids[place], self._places[name] = name, place
                self._rows[place] = self._rows[last]
                packer.pack_1(packer.unpack_1(blocks, last), place, blocks)
            # FAISS adds to what is there, so that must be zero.
            packer.pack_1(np.zeros(packer.code_size, np.uint8), last, blocks)
        self._index.ntotal = len(self._ids)
        self._version += 1

    def nearest(self, questions: np.ndarray, k: int) -> list[list[Near]]:
        """The ``k`` nearest for each row of float32 [n, dim], scored exactly."""
        check_dimensions(questions.shape[1], self._rows.shape[1])
        rows = unit_rows(questions)
        self._one_thread()
        with self._lock:
            if not self._ids or k < 1:
                return [[] for _ in rows]
            return list(self._found(rows, k, max(CANDIDATES, CANDIDATES_PER_HIT * k)))

    def _found(self, rows: np.ndarray, k: int, wanted: int) -> Iterator[list[Near]]:
        """Look at so many candidates for each question, and at more where they leave doubt."""
        if SCAN_SHARE * wanted > len(self._ids):
            yield from best(self._ids, rows @ self._rows[: len(self._ids)].T, k)
            return
        self._index.qbs = PAIRS[min(len(rows), len(PAIRS)) - 1]
        guesses, places = self._index.search(self._turned(rows), wanted)
        scores = np.stack([self._rows.take(own, axis=0) @ row for own, row in zip(places, rows, strict=True)])
        top = np.argpartition(scores, -k, axis=1)[:, -k:]
        hits, found = np.take_along_axis(scores, top, 1), np.take_along_axis(places, top, 1)
        last = guesses[:, -1]
        is_doubtful = last + _leeway(scores - guesses) > hits.min(axis=1) + SAME
        is_doubtful |= last + SAME >= np.take_along_axis(guesses, top, 1).min(axis=1)
        order = np.lexsort((found, -hits), axis=1)
        hits, found = np.take_along_axis(hits, order, 1), np.take_along_axis(found, order, 1)
        for row, own, near, again in zip(rows, found.tolist(), hits.tolist(), is_doubtful, strict=True):
            if again:
                yield from self._found(row[None], k, WIDER * wanted)
            else:
                yield [Near(self._ids[place], score) for place, score in zip(own, near, strict=True)]

    def among(self, questions: np.ndarray, k: int, allowed: Among) -> list[list[Near]]:
        """The ``k`` nearest of those allowed for each row of float32 [n, dim]: each of them is looked at."""
        check_dimensions(questions.shape[1], self._rows.shape[1])
        rows = unit_rows(questions)
        with self._lock:
            picked = allowed.picked(self, self._version)
            if picked is None:
                ids = [id_ for id_ in allowed.ids if id_ in self._places]
                places = np.fromiter(map(self._places.__getitem__, ids), np.int64, len(ids))
                picked = allowed.keep(Picked(self, self._version, ids, np.ascontiguousarray(self._rows[places].T)))
        return best(picked.ids, rows @ picked.columns, k)

    def _turned(self, rows: np.ndarray) -> np.ndarray:
        turned: np.ndarray = np.ascontiguousarray(rows @ self._rotation)
        return turned

    def _one_thread(self) -> None:
        """OpenMP keeps this number for each thread, and its own would wait for each other in busy loops."""
        self._faiss.omp_set_num_threads(1)


def _leeway(errors: np.ndarray) -> np.ndarray:
    """By how much codes may have guessed a score too low, float32 [m], from the errors for candidates, [m, n]."""
    leeway: np.ndarray = np.maximum(errors.mean(axis=1), 0) + DOUBT * errors.std(axis=1)
    return leeway
