"""How a proxy waits for messages, and takes them in bursts."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Sequence
from typing import Any

import zmq
from zmq.backend import Socket as Bare

from proxies.port import Port

MAX_BURST = 100
LONGEST_BUSY_S = 0.02
POLLIN = int(zmq.POLLIN)
Hear = Callable[[list[Any], str, float], None]


class Loop:
    """The sources of one thread.

    libzmq's own poll asks every socket twice for each wake-up, some thirty system calls for one call
    of a client. This one waits for the file descriptors and asks only the sockets that have news. Such a
    descriptor tells of news only after its socket was found empty, and then once; sending or receiving may
    take the news in silently. So every socket is asked at first, and a port that was used before the next wait.

    Args:
        ports: with what hears their messages; the first is emptied first.
        others: what else may become readable, a socket or a file descriptor, with what is to be done then.
        flush: called after each burst.
    """

    def __init__(
        self, ports: Sequence[tuple[Port, Hear]], others: dict[Any, Callable[[float], None]], flush: Callable[[], None]
    ) -> None:
        self._ports = list(ports)
        self._flush = flush
        self._poll = select.poll()
        self._rarely: dict[int, Callable[[float], None]] = {}
        self._of_port: dict[int, Port] = {}
        for port, _ in ports:
            self._of_port[self._watch(port.socket)] = port
        self._unasked: list[Callable[[float], None]] = []
        for source, handle in others.items():
            rarely = handle if isinstance(source, int) else _emptying(source, handle)
            self._rarely[self._watch(source)] = rarely
            if rarely is not handle:
                self._unasked.append(rarely)
        self._looked_at = 0.0

    def _watch(self, source: Any) -> int:
        fd = source if isinstance(source, int) else int(Bare.get(source, zmq.FD))
        self._poll.register(fd, select.POLLIN)
        return fd

    def turn(self, pause_s: Callable[[float], float]) -> float:
        """Wait for something, at most as long as is said, and handle it; the time when it came."""
        now = time.monotonic()
        while self._unasked:
            self._unasked.pop()(now)
        has_mail = False
        for port, _ in self._ports:
            if port.is_unsure:
                port.ask()
            has_mail = has_mail or port.has_mail
        if not has_mail or now - self._looked_at >= LONGEST_BUSY_S:
            self._look(0 if has_mail else int(pause_s(now) * 1000) + 1)
            self._looked_at = now = time.monotonic()
        for port, hear in self._ports:
            if port.has_mail:
                self.empty(port, hear, now)
        return now

    def _look(self, timeout_ms: int) -> None:
        for fd, _ in self._poll.poll(timeout_ms):
            port = self._of_port.get(fd)
            if port is not None:
                port.ask()
            else:
                self._rarely[fd](time.monotonic())

    def empty(self, port: Port, hear: Hear, now: float) -> bool:
        """Handle a burst of messages; whether there may be more."""
        receive, num = port.receive, 0
        while num < MAX_BURST and (frames := receive()) is not None:
            hear(frames, port.principal, now)
            num += 1
            if num == 1 and not port.ask():
                break
        self._flush()
        return num == MAX_BURST


def _emptying(socket: zmq.Socket[bytes], handle: Callable[[float], None]) -> Callable[[float], None]:
    """Handle as long as there is something: the descriptor does not tell a second time."""

    def until_empty(now: float) -> None:
        while int(Bare.get(socket, zmq.EVENTS)) & POLLIN:
            handle(now)

    return until_empty
