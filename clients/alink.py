"""How the sockets of a client live in an asyncio loop: without a thread, and without a call left behind.

libzmq signals a socket's descriptor once, and sending may swallow the signal: so whatever was found or
sent is followed by another look, and a slow tick looks too while calls are under way.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Sequence

import zmq

from .calls import Calls
from .connections import front_peer, look_at
from .errors import Cancelled
from .greetings import Hello
from .keys import Credential
from .packing import pack
from .peer import Peer, readable
from .pending import Pending

BURST = 100
SAFETY_S = 0.25


class LoopLink:
    """The sockets of a client in one loop; only that loop's thread uses it.

    Attributes:
        loop: where it lives.
        num_unsignalled: how often the slow tick found what no descriptor had told; it should stay 0.
    """

    def __init__(
        self, addresses: Sequence[str], credential: Credential | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.pid = os.getpid()
        self.loop = loop
        self.num_unsignalled = 0
        self._credential = credential
        self._is_due = self._is_over = False
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._watched: list[int] = []
        self._calls = Calls(addresses, self._connect, pack(Hello(host=socket.gethostname(), pid=self.pid)).body)
        self._watch()
        self._kick()

    def _connect(self, address: str) -> Peer:
        return front_peer(address, self._credential)

    def is_alive(self) -> bool:
        """Whether calls can still be made over it."""
        return not (self._is_over or self.loop.is_closed())

    # -- what the program does -------------------------------------------------------------------

    def submit(self, call: Pending) -> None:
        """Make a call; one that comes too late ends as cancelled."""
        if self._is_over:
            call.outcome = Cancelled(f"the client was closed before {call.name}")
            call.ended()
            return
        self._calls.add(call, time.monotonic())
        self._kick()

    def cancel(self, call: Pending, error: BaseException | None = None) -> None:
        """End a call, as cancelled unless an error says otherwise; its worker is told."""
        self._calls.cancel(call, error)
        self._kick()

    def grant(self, call: Pending, num_chunks: int) -> None:
        """Tell the worker of a stream that its reader took chunks."""
        self._calls.grant(call, num_chunks)
        self._kick()

    def pump(self, call: Pending) -> None:
        """Send what a call's input has, as soon as its worker has room."""
        self._calls.pump(call)
        self._kick()

    def close(self) -> None:
        """End every call as cancelled, and let go of the sockets."""
        if self._is_over:
            return
        self._is_over = True
        self._unwatch()
        if self._alarm is not None:
            self._alarm.cancel()
        self._calls.close(lambda name: Cancelled(f"the client was closed during {name}"))

    # -- what the loop does ----------------------------------------------------------------------

    def _kick(self) -> None:
        """Look at the sockets soon, once for all that is done until then."""
        if not self._is_due and self.is_alive():
            self._is_due = True
            self.loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._is_due = False
        if self._is_over:
            return
        now = time.monotonic()
        self._calls.tick(now)
        if self._look(now):
            self._kick()  # there may be more, and what was sent meanwhile may have swallowed its signal
        if self._calls.lines.num_changes != self._num_changes:
            self._watch()
            self._kick()
        self._set_alarm(now)

    def _look(self, now: float) -> bool:
        """Take what came; whether anything did."""
        found = False
        for line, peer in self._peers:
            for frames in peer.receive(BURST):
                self._calls.heard(line, frames, now)
                found = True
            found = look_at(self._calls, line, peer, now) or found
        return found

    def _watch(self) -> None:
        """Listen to the descriptors of the sockets that there are now."""
        self._unwatch()
        self._num_changes = self._calls.lines.num_changes
        lines = self._calls.lines.all
        self._peers = [(line, line.connection) for line in lines if isinstance(line.connection, Peer)]
        self._watched = [int(s.get(zmq.FD)) for _, peer in self._peers for s in (peer.socket, peer.monitor)]
        for descriptor in self._watched:
            self.loop.add_reader(descriptor, self._turn)

    def _unwatch(self) -> None:
        if not self.loop.is_closed():
            for descriptor in self._watched:
                self.loop.remove_reader(descriptor)
        self._watched = []

    def _set_alarm(self, now: float) -> None:
        moment = self._calls.next_timer(now)
        if len(self._calls):
            moment = now + SAFETY_S if moment is None else min(moment, now + SAFETY_S)
        if self._alarm is not None and moment is not None and self._alarm_at <= moment:
            return
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if moment is not None:
            self._alarm_at = moment
            self._alarm = self.loop.call_later(max(0.0, moment - now), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        was_told = self._is_due or bool(readable(self._watched, 0))
        if self._look(time.monotonic()) and not was_told:
            self.num_unsignalled += 1
        self._turn()
