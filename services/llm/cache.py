"""Which vectors are remembered, within a bound of memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

# A rough price of the dictionary entry, the key and the two objects.
ENTRY_BYTES = 400


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """The vector, or the token vectors, of a text.

    Attributes:
        first, last: rows of the text's own tokens.
    """

    values: np.ndarray
    num_tokens: int
    first: int
    last: int


def key_of(revision: str, role: str, text: str, *, wants_tokens: bool) -> bytes:
    """16 bytes that stand for a text as one model sees it."""
    head = f"{revision}\0{role}\0{int(wants_tokens)}\0".encode()
    return blake2b(head + text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class VectorCache:
    """The vectors used last; not for several threads at a time.

    Args:
        max_bytes: of the arrays and their entries.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[bytes, Remembered] = OrderedDict()
        self.num_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> Remembered | None:
        """The entry, which becomes the newest."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: bytes, entry: Remembered) -> None:
        """Remember; the oldest ones make room."""
        if key in self._entries or entry.values.nbytes + ENTRY_BYTES > self._max_bytes:
            return
        self._entries[key] = entry
        self.num_bytes += entry.values.nbytes + ENTRY_BYTES
        while self.num_bytes > self._max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.num_bytes -= oldest.values.nbytes + ENTRY_BYTES
