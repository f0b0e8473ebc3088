"""How do vectors come into a store that lets nothing else run meanwhile, without keeping searches waiting?

Chroma holds Python's interpreter lock while it adds vectors: 512 of them kept every other thread of the process waiting
for up to a second with 3,000 in the collection, and for longer the larger it is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

MAX_WAIT_S = 0.2


class Precedence:
    """Searches go first: whoever writes in portions asks before each whether the way is clear.

    Args:
        max_wait_s: longest time that a portion waits; people who search all the time do not keep out what is added.
    """

    def __init__(self, max_wait_s: float = MAX_WAIT_S) -> None:
        self._max_wait_s = max_wait_s
        self._num_searches = 0
        self._changed = threading.Condition()

    @contextmanager
    def searching(self) -> Iterator[None]:
        """A search is under way within the ``with`` statement."""
        with self._changed:
            self._num_searches += 1
        try:
            yield
        finally:
            with self._changed:
                self._num_searches -= 1
                self._changed.notify_all()

    def give_way(self) -> None:
        """Wait until no search is under way, or for so long as a portion may wait."""
        with self._changed:
            self._changed.wait_for(lambda: not self._num_searches, self._max_wait_s)


class Portions:
    """How many vectors go in one call: as many as take about a tenth of a second."""

    MIN, FIRST, MAX = 16, 64, 1024
    LOW_S, HIGH_S = 0.05, 0.15

    def __init__(self) -> None:
        self.size = self.FIRST

    def took(self, num_vectors: int, seconds: float) -> None:
        """Learn from a portion; a small rest tells nothing."""
        if seconds > self.HIGH_S:
            self.size = max(self.MIN, self.size // 2)
        elif seconds < self.LOW_S and num_vectors >= self.size:
            self.size = min(self.MAX, 2 * self.size)
