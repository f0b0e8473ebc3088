"""How one thread ends what another one waits for."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

_lock = threading.Lock()


def _new_lock() -> None:
    """A fork while another thread held the lock would leave it locked in the child for ever."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_new_lock)


class Waiter:
    """Lets one thread end what others wait for on its behalf: now, and whatever they wait for next.

    A worker makes one for each call, and most are never waited with: the lock is one for all of them.
    """

    __slots__ = ("_cancels", "_is_cancelled")

    def __init__(self) -> None:
        self._cancels: dict[object, Callable[[], None]] | None = None
        self._is_cancelled = False

    def cancel(self) -> None:
        """End every wait, also those that have not begun."""
        with _lock:
            self._is_cancelled = True
            cancels = list((self._cancels or {}).values())
        for cancel in cancels:
            cancel()

    def is_cancelled(self) -> bool:
        """Whether all waits are ended."""
        return self._is_cancelled

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the cancellation; whether it came in time."""
        if self._is_cancelled or timeout_s == 0:
            return self._is_cancelled
        event = threading.Event()
        with self.waits(event.set):
            event.wait(timeout_s)
        return self._is_cancelled

    @contextmanager
    def waits(self, cancel: Callable[[], None]) -> Iterator[None]:
        """While a thread waits for something that ``cancel`` ends."""
        mark = object()
        with _lock:
            self._cancels = self._cancels or {}
            self._cancels[mark] = cancel
            is_cancelled = self._is_cancelled
        if is_cancelled:
            cancel()
        try:
            yield
        finally:
            with _lock:
                del self._cancels[mark]


waiter: ContextVar[Waiter | None] = ContextVar("waiter", default=None)
give_up_at: ContextVar[float] = ContextVar("give_up_at", default=math.inf)
"""The moment on the monotonic clock after which nobody waits for what this context does."""


def waiting(cancel: Callable[[], None]) -> AbstractContextManager[None]:
    """Tell the waiter of this context, if there is one, how to end what is waited for."""
    current = waiter.get()
    return nullcontext() if current is None else current.waits(cancel)
