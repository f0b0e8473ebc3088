"""Which common beginnings of prompts need not be computed again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

from .decoding import Past

Ids = tuple[int, ...]


class Prefixes:
    """What a decoder remembers of the latest beginnings; safe for any number of threads.

    A beginning that is being computed is waited for, not computed twice.

    Args:
        compute: makes one.
        max_bytes: memory; the latest one is kept whatever it takes.
    """

    def __init__(self, compute: Callable[[Ids], Past], max_bytes: int) -> None:
        self._compute = compute
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[Ids, Future[Past]] = OrderedDict()

    def get(self, ids: Ids) -> Past:
        """The beginning with these ids; raises what computing it raises, to all who wait for it."""
        with self._lock:
            found = self._kept.get(ids)
            mine = found or Future()
            self._kept[ids] = mine
            self._kept.move_to_end(ids)
        if found is None:
            self._fill(ids, mine)
        return mine.result()

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._kept.clear()

    @property
    def num_bytes(self) -> int:
        """Memory in use."""
        with self._lock:
            return sum(_size(kept) for kept in self._kept.values())

    def _fill(self, ids: Ids, mine: Future[Past]) -> None:
        try:
            past = self._compute(ids)
        except BaseException as error:
            with self._lock:
                self._kept.pop(ids, None)
            mine.set_exception(error)  # those who wait for it must hear of it too
            raise
        mine.set_result(past)
        with self._lock:
            self._trim()

    def _trim(self) -> None:
        used = sum(_size(kept) for kept in self._kept.values())
        while used > self._max_bytes and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            used -= _size(oldest)


def _size(kept: Future[Past]) -> int:
    return kept.result().num_bytes if kept.done() and kept.exception() is None else 0
