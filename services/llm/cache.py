"""Which results of a model are remembered, within a bound of memory."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import Generic, Protocol, TypeVar

from .tally import Tally

# A rough price of the dictionary entry, the key and the objects of a result.
ENTRY_BYTES = 400


class Result(Protocol):
    """What a model made of a text or a pair."""

    @property
    def num_bytes(self) -> int:
        """Memory of its arrays."""
        ...


R = TypeVar("R", bound=Result)


def key_of(*parts: str) -> bytes:
    """16 bytes that stand for the texts, and for where one ends and the next begins."""
    digest = blake2b(digest_size=16)
    for part in parts:
        text = part.encode("utf-8", "surrogatepass")
        digest.update(len(text).to_bytes(8, "little"))
        digest.update(text)
    return digest.digest()


class Cache(Generic[R]):
    """The results used last; not for several threads at a time.

    Args:
        max_bytes: of the arrays and their entries.

    Attributes:
        num_hits, num_misses: how often what was asked for was there, and was not.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[bytes, R] = OrderedDict()
        self.num_bytes = 0
        self.num_hits = 0
        self.num_misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def tally(self) -> Tally:
        """How often it helped, and what it holds."""
        return Tally(cache_hits=self.num_hits, cache_misses=self.num_misses, cache_bytes=self.num_bytes)

    def get(self, key: bytes) -> R | None:
        """The entry, which becomes the newest."""
        entry = self._entries.get(key)
        if entry is None:
            self.num_misses += 1
            return None
        self.num_hits += 1
        self._entries.move_to_end(key)
        return entry

    def put(self, key: bytes, entry: R) -> None:
        """Remember; the oldest ones make room."""
        if key in self._entries or entry.num_bytes + ENTRY_BYTES > self._max_bytes:
            return
        self._entries[key] = entry
        self.num_bytes += entry.num_bytes + ENTRY_BYTES
        while self.num_bytes > self._max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.num_bytes -= oldest.num_bytes + ENTRY_BYTES
