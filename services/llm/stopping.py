"""Which part of a growing text may be shown, when certain texts end it."""

from __future__ import annotations

from collections.abc import Iterable


class Stopper:
    """Holds back the end of a text as long as it may be the beginning of a stop text.

    Attributes:
        text: all that was let through.
        is_stopped: a stop text came; it and what follows are cut off.
    """

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.text = ""
        self.is_stopped = False

    def feed(self, piece: str) -> str:
        """Add a piece; returns what has become certain."""
        if self.is_stopped:
            return ""
        self._held += piece
        # The stop that is complete first counts, as if the text had come letter by letter.
        found = [(at + len(stop), at) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.is_stopped = True
            return self._let_through(min(found)[1])
        return self._let_through(len(self._held) - self._num_doubtful())

    def flush(self) -> str:
        """Nothing more comes: let through what was held back."""
        return "" if self.is_stopped else self._let_through(len(self._held))

    def _let_through(self, count: int) -> str:
        certain, self._held = self._held[:count], self._held[count:]
        self.text += certain
        return certain

    def _num_doubtful(self) -> int:
        """Length of the longest end of the text that begins a stop text."""
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        for count in range(min(longest, len(self._held)), 0, -1):
            end = self._held[-count:]
            if any(stop.startswith(end) for stop in self._stops):
                return count
        return 0
