"""How long did a generation wait, begin and take."""

from __future__ import annotations

import time
from collections.abc import Callable

from clients.llm import Usage


class Stopwatch:
    """Runs from its making until ``usage`` is asked.

    Attributes:
        num_tokens: new tokens so far.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = self._begun = clock()
        self._first = self._last = 0.0
        self.num_tokens = 0

    def begin(self) -> None:
        """The model begins; until now the request waited."""
        self._begun = self._clock()

    def note(self, count: int = 1) -> None:
        """So many new tokens have come."""
        self._last = self._clock()
        if self.num_tokens == 0:
            self._first = self._last
        self.num_tokens += count

    def usage(self, prompt_tokens: int, cached_tokens: int = 0) -> Usage:
        """What it cost, now."""
        pause = (self._last - self._first) / (self.num_tokens - 1) if self.num_tokens > 1 else 0.0
        return Usage(
            prompt_tokens,
            self.num_tokens,
            max(0.0, self._first - self._start) if self.num_tokens else 0.0,
            self._clock() - self._start,
            cached_tokens,
            self._begun - self._start,
            pause,
        )
