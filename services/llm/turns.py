"""Whose turn is it, when a model takes so many calls at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from clients.errors import Busy
from services.service import Call

CHECK_S = 0.1


class Turns:
    """Lets calls in, so many at a time, in the order in which they came.

    Args:
        size: calls at a time.
        max_waiting: calls that may wait; one more is told to come back.
    """

    def __init__(self, size: int, max_waiting: int) -> None:
        self._size = size
        self._max_waiting = max_waiting
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self._num_in = 0

    @contextmanager
    def take(self, call: Call) -> Iterator[None]:
        """Wait for a turn, and hold it.

        Raises:
            Busy: too many wait already.
            Cancelled, DeadlineExceeded: nobody waits for the answer any more.
        """
        self._enter(call)
        try:
            yield
        finally:
            with self._changed:
                self._num_in -= 1
                self._changed.notify_all()

    @property
    def num_waiting(self) -> int:
        """Calls that wait."""
        return len(self._waiting)

    def _enter(self, call: Call) -> None:
        ticket = object()
        with self._changed:
            if self._num_in + len(self._waiting) >= self._size + self._max_waiting:
                raise Busy(f"{len(self._waiting)} calls wait for the model already", retry_after_s=1.0)
            self._waiting.append(ticket)
            try:
                while self._waiting[0] is not ticket or self._num_in >= self._size:
                    call.check()
                    self._changed.wait(CHECK_S)
                call.check()
                self._num_in += 1
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
