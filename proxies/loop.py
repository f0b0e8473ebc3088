"""How a proxy waits for messages, and takes them in bursts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import zmq
from zmq.backend import zmq_poll

from proxies.port import Port

MAX_BURST = 100
BUSY_BURST = 3
LONGEST_BUSY_S = 0.02
POLLIN = int(zmq.POLLIN)
Hear = Callable[[list[Any], str, float], None]


class Loop:
    """The sources of one thread.

    While much comes, it looks at nothing but the first two ports: a look at every source costs as much as a call.

    Args:
        ports: with what hears their messages; the two busy ones first, and of those the first is emptied first.
        others: what else may become readable, with what is to be done then.
        flush: called after each burst.
    """

    def __init__(
        self, ports: Sequence[tuple[Port, Hear]], others: dict[Any, Callable[[float], None]], flush: Callable[[], None]
    ) -> None:
        self._ports = {port.socket: (port, hear) for port, hear in ports}
        self._others = dict(others)
        self._flush = flush
        self._all = [(source, POLLIN) for source in (*self._ports, *self._others)]
        self._few = self._all[:2]
        self._is_busy = False
        self._looked_at = 0.0

    def turn(self, pause_s: Callable[[float], float]) -> float:
        """Wait for something, at most as long as is said, and handle it; the time when it came."""
        now = time.monotonic()
        if self._is_busy and now - self._looked_at < LONGEST_BUSY_S:
            ready = zmq_poll(self._few, 0)
        else:
            ready = zmq_poll(self._all, 0 if self._is_busy else int(pause_s(now) * 1000) + 1)
            self._looked_at = now = time.monotonic()
        self._is_busy = False
        for source, _ in ready:
            if source in self._ports:
                self.empty(*self._ports[source], now)
            else:
                self._others[source](now)
        return now

    def empty(self, port: Port, hear: Hear, now: float) -> bool:
        """Handle a burst of messages; whether there may be more."""
        receive, num = port.receive, 0
        while num < MAX_BURST and (frames := receive()) is not None:
            hear(frames, port.principal, now)
            num += 1
        self._flush()
        self._is_busy = self._is_busy or num >= BUSY_BURST
        return num == MAX_BURST
