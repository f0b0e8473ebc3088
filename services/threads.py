"""Threads for handlers, used again and again.

What a handler's libraries keep per thread (a database connection, buffers of a runtime) must not
grow with the number of calls: a thread for each call once opened a connection for each call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue


class Threads:
    """As many daemon threads as there were calls at a time; a hung one never keeps the process from ending."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._num_idle = 0
        self._num_threads = 0

    def start(self, work: Callable[[], None]) -> None:
        """Run ``work`` in an idle thread, or in a new one; it must not raise."""
        with self._lock:
            is_new = self._num_idle == 0
            if is_new:
                self._num_threads += 1
            else:
                self._num_idle -= 1
        self._work.put(work)
        if is_new:
            threading.Thread(target=self._run, name=f"{self._name} {self._num_threads}", daemon=True).start()

    def _run(self) -> None:
        while True:
            self._work.get()()
            with self._lock:
                self._num_idle += 1
