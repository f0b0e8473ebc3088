"""Which thread owns a client's sockets, and how others leave it calls."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from .calls import Calls
from .connections import front_peer, look_at
from .errors import Cancelled
from .greetings import Hello
from .keys import Credential
from .line import Line
from .packing import pack
from .peer import Peer
from .pending import Pending
from .sockets import Wake

BURST = 100
LONGEST_PAUSE_MS = 1000


class Link:
    """The thread that owns the sockets; others leave it calls, and wake it if it sleeps."""

    def __init__(self, addresses: Sequence[str], credential: Credential | None = None) -> None:
        self.pid = os.getpid()
        self._credential = credential
        self._inbox: deque[Pending | Callable[[], None]] = deque()
        self._wake = Wake()
        self._is_asleep = self._closing = self._is_over = False
        hello = Hello(host=socket.gethostname(), pid=self.pid)
        self._calls = Calls(addresses, self._connect, pack(hello).body)
        self._list_sources()
        self._thread = threading.Thread(target=self._run, name=f"ragq {addresses[0]}", daemon=True)
        self._thread.start()

    def _connect(self, address: str) -> Peer:
        return front_peer(address, self._credential)

    def is_alive(self) -> bool:
        """Whether calls can still be left to it."""
        return not self._is_over

    # -- any thread ------------------------------------------------------------------------------

    def submit(self, call: Pending) -> None:
        """Leave a call to the thread; one that comes too late ends as cancelled."""
        self._leave(call)
        if self._is_over:
            self._refuse()

    def cancel(self, call: Pending, error: BaseException | None = None) -> None:
        """End a call, as cancelled unless an error says otherwise; its worker is told."""
        self._leave(partial(self._calls.cancel, call, error))

    def grant(self, call: Pending, num_chunks: int) -> None:
        """Tell the worker of a stream that its reader took chunks."""
        self._leave(partial(self._calls.grant, call, num_chunks))

    def pump(self, call: Pending) -> None:
        """Send what a call's input has, as soon as its worker has room."""
        self._leave(partial(self._calls.pump, call))

    def close(self) -> None:
        """End every call as cancelled, and the thread."""
        self._closing = True
        self._wake.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=2.0)

    def _leave(self, item: Pending | Callable[[], None]) -> None:
        self._inbox.append(item)
        if self._is_asleep:
            self._wake.set()

    def _refuse(self) -> None:
        with suppress(IndexError):  # another thread took the last one
            while True:
                item = self._inbox.popleft()
                if isinstance(item, Pending):
                    item.outcome = Cancelled(f"the client was closed before {item.name}")
                    item.ended()

    # -- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._closing:
                self._turn()
        finally:
            self._calls.close(lambda name: Cancelled(f"the client was closed during {name}"))
            self._is_over = True
            self._refuse()
            self._wake.close()

    def _turn(self) -> None:
        ready = self._sleep()
        now = time.monotonic()
        for line, peer, messages, changes in self._sources:
            if messages in ready:
                self._receive(line, peer, now)
            if changes in ready or peer.has_news:
                look_at(self._calls, line, peer, now)
        self._take_inbox(now)
        self._calls.tick(now)
        if self._calls.lines.num_changes != self._num_changes:
            self._list_sources()

    def _receive(self, line: Line, peer: Peer, now: float) -> None:
        num = 0
        for frames in peer.receive(BURST):
            self._calls.heard(line, frames, now)
            num += 1
        peer.is_unsure = peer.is_unsure or num == BURST

    def _list_sources(self) -> None:
        """Which descriptors to wait for; only when lines came or went, for it is asked twice for each call."""
        self._num_changes = self._calls.lines.num_changes
        self._sources: list[tuple[Line, Peer, int, int]] = []
        self._poll, self._has_news = select.poll(), False
        self._poll.register(self._wake.reader, select.POLLIN)
        for line in self._calls.lines.all:
            if isinstance(peer := line.connection, Peer):
                self._watch(line, peer)

    def _watch(self, line: Line, peer: Peer) -> None:
        messages, changes = peer.fds()
        self._sources.append((line, peer, messages, changes))
        self._poll.register(messages, select.POLLIN)
        self._poll.register(changes, select.POLLIN)
        self._has_news = self._has_news or peer.has_news

    def _sleep(self) -> set[int]:
        """Wait; the descriptors of which something is to be read."""
        self._is_asleep = True
        try:
            pause_ms = self._pause_ms()
            ready = {messages for _, peer, messages, _ in self._sources if peer.is_unsure and peer.has_mail()}
            ready.update(fd for fd, _ in self._poll.poll(0 if ready else pause_ms))
        finally:
            self._is_asleep = False
        if self._wake.reader in ready:
            self._wake.clear()
        return ready

    def _pause_ms(self) -> int:
        if self._inbox or self._closing or self._has_news:
            self._has_news = False
            return 0
        now = time.monotonic()
        timer = self._calls.next_timer(now)
        return LONGEST_PAUSE_MS if timer is None else max(0, min(LONGEST_PAUSE_MS, int((timer - now) * 1000) + 1))

    def _take_inbox(self, now: float) -> None:
        while self._inbox:
            item = self._inbox.popleft()
            if isinstance(item, Pending):
                self._calls.add(item, now)
            else:
                item()
