"""Which thread owns a client's socket, and how others leave it calls."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from .calls import CONNECT_TIMEOUT_S, Calls, Pending
from .errors import Cancelled, RagqError
from .packing import Buffer
from .peer import Peer
from .wire import Envelope, Kind, decode


class Link:
    """The thread that owns the socket; others leave it calls and wake it."""

    def __init__(self, address: str) -> None:
        self.pid = os.getpid()
        self._calls = Calls(address)
        self._inbox: deque[Pending | Envelope] = deque()
        self._closing = False
        self._is_over = False
        self._peer = Peer(address)
        self._thread = threading.Thread(target=self._run, name=f"ragq {address}", daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        """Whether calls can still be left to it."""
        return not self._is_over

    def pending(self, name: str, deadline: float, frames: Callable[[int], list[Buffer]]) -> Pending:
        """A call that has not been left to the thread yet."""
        connect_by = min(deadline, time.monotonic() + CONNECT_TIMEOUT_S)
        return Pending(self._calls.next_id(), name, frames, deadline, connect_by)

    def submit(self, call: Pending) -> None:
        """Leave a call to the thread; one that comes too late ends as cancelled."""
        self._inbox.append(call)
        self._peer.wake.set()
        if self._is_over:
            self._refuse()

    def _refuse(self) -> None:
        with suppress(IndexError):  # another thread took the last one
            while True:
                item = self._inbox.popleft()
                if isinstance(item, Pending):
                    item.future.set_exception(Cancelled(f"the client was closed before {item.name}"))

    def tell(self, envelope: Envelope) -> None:
        """Send a CANCEL or a CREDIT after what was submitted before it."""
        self._inbox.append(envelope)
        self._peer.wake.set()

    def close(self) -> None:
        """End every call as cancelled, and the thread."""
        self._closing = True
        self._peer.wake.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=2.0)

    def _run(self) -> None:
        try:
            while not self._closing:
                self._turn(has_mail=self._peer.wait(self._pause_ms()))
        finally:
            for call_id in self._calls.fail_all(lambda name: Cancelled(f"the client was closed during {name}")):
                self._peer.send([Envelope(Kind.CANCEL, call_id).encode()])
            self._is_over = True
            self._refuse()
            self._peer.close()

    def _turn(self, *, has_mail: bool) -> None:
        for frames in self._peer.receive(at_most=100) if has_mail else ():
            self._heard(frames)
        if self._peer.has_broken():
            self._begin_again()
        self._take_inbox()
        self._send_unsent()
        for call_id in self._calls.expire(time.monotonic()):
            self._peer.send([Envelope(Kind.CANCEL, call_id).encode()])

    def _begin_again(self) -> None:
        for frames in self._peer.receive():  # what came before the connection broke still counts
            self._heard(frames)
        self._calls.disconnected()
        self._peer.renew()

    def _pause_ms(self) -> int:
        if self._calls.first_unsent() is not None:
            return 20
        timer = self._calls.next_timer()
        return 1000 if timer is None else max(0, min(1000, int((timer - time.monotonic()) * 1000) + 1))

    def _take_inbox(self) -> None:
        while self._inbox:
            item = self._inbox.popleft()
            if isinstance(item, Pending):
                self._calls.add(item)
            elif item.kind is not Kind.CANCEL or self._calls.cancel(item.id):
                self._peer.send([item.encode()])

    def _send_unsent(self) -> None:
        while (call := self._calls.first_unsent()) is not None:
            if not self._peer.send(call.frames(call.id)):
                return
            self._calls.sent(call)

    def _heard(self, frames: list[bytes]) -> None:
        try:
            envelope = decode(frames[0])
        except RagqError:
            return  # it names no call; whichever it was meant for ends by its deadline
        self._calls.heard(envelope, list[Buffer](frames[1:]))
