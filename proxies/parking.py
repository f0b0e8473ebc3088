"""What waits for clients that read too slowly."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from clients.wire import HEADER, TERMINAL
from proxies.parties import Key

MAX_STREAM_BYTES = 1 << 20
KIND_AT = 3
ID_AT = slice(8, 16)
Frames = list[Any]


def key_of(message: Frames) -> Key | None:
    """The call that a message for a client belongs to; None for the older profile."""
    client, head = message[0], message[1]
    if len(head) < HEADER.size:
        return None
    return client, int.from_bytes(head[ID_AT], "little")


class Lot:
    """The messages of one call, in order."""

    __slots__ = ("messages", "num_bytes")

    def __init__(self) -> None:
        self.messages: deque[Frames] = deque()
        self.num_bytes = 0


class Parking:
    """Messages that their client had no room for; credit makes that rare, and 1 MiB a call is the most."""

    def __init__(self) -> None:
        self._lots: dict[Key, Lot] = {}

    def __bool__(self) -> bool:
        return bool(self._lots)

    def __contains__(self, key: Key | None) -> bool:
        """Whether messages of a call wait, so that later ones have to wait behind them."""
        return key in self._lots

    def add(self, key: Key, message: Frames) -> bool:
        """Let a message wait; False if too much does, and then nothing of the call waits any more.

        The end of a call always finds room: what it ends is lost without it.
        """
        size = sum(map(len, message))
        lot = self._lots.setdefault(key, Lot())
        if message[1][KIND_AT] not in TERMINAL and lot.num_bytes + size > MAX_STREAM_BYTES:
            del self._lots[key]
            return False
        lot.messages.append(message)
        lot.num_bytes += size
        return True

    def retry(self, send: Callable[[Frames], bool], is_full: Callable[[], bool]) -> None:
        """Send what can be sent; what is for a client that is gone goes nowhere.

        Args:
            send: whether a message was taken.
            is_full: whether the one that was not is for a client that is there.
        """
        for key, lot in list(self._lots.items()):
            while lot.messages and send(lot.messages[0]):
                lot.num_bytes -= sum(map(len, lot.messages.popleft()))
            if not (lot.messages and is_full()):
                del self._lots[key]
