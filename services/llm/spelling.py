"""Which text do token ids make, told as soon as it can no longer change."""

from __future__ import annotations

from collections.abc import Callable

REPLACEMENT = "\ufffd"


class Spelling:
    """Token ids that become text as soon as their bytes are whole characters.

    Args:
        decode: turns ids into text; wrong bytes become U+FFFD.

    Attributes:
        ids: all that came.
    """

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        self.ids: list[int] = []
        self._first = 0
        self._shown = 0

    def add(self, ids: list[int]) -> str:
        """The text that has become certain."""
        self.ids.extend(ids)
        before = self._text(self._first, self._shown)
        after = self._text(self._first, len(self.ids))
        if len(after) <= len(before) or after.endswith(REPLACEMENT):
            return ""
        self._first, self._shown = self._shown, len(self.ids)
        return after[len(before) :]

    def rest(self) -> str:
        """Nothing more comes: the text that was held back."""
        return self._text(self._first, len(self.ids))[len(self._text(self._first, self._shown)) :]

    def _text(self, first: int, last: int) -> str:
        return self._decode(self.ids[first:last]) if last > first else ""
