"""How one thread ends what another one waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar


class Waiter:
    """Lets one thread end what others wait for on its behalf: now, and whatever they wait for next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancels: dict[object, Callable[[], None]] = {}
        self._is_cancelled = False

    def cancel(self) -> None:
        """End every wait, also those that have not begun."""
        with self._lock:
            self._is_cancelled = True
            cancels = list(self._cancels.values())
        for cancel in cancels:
            cancel()

    @contextmanager
    def waits(self, cancel: Callable[[], None]) -> Iterator[None]:
        """While a thread waits for something that ``cancel`` ends."""
        mark = object()
        with self._lock:
            self._cancels[mark] = cancel
            is_cancelled = self._is_cancelled
        if is_cancelled:
            cancel()
        try:
            yield
        finally:
            with self._lock:
                del self._cancels[mark]


waiter: ContextVar[Waiter | None] = ContextVar("waiter", default=None)


def waiting(cancel: Callable[[], None]) -> AbstractContextManager[None]:
    """Tell the waiter of this context, if there is one, how to end what is waited for."""
    current = waiter.get()
    return nullcontext() if current is None else current.waits(cancel)
