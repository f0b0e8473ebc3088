"""How what a proxy has to say reaches clients and workers."""

from __future__ import annotations

import struct
import time
from typing import Any

from clients.errors import RagqError
from clients.packing import pack_map
from clients.wire import Envelope, Kind, failure_envelope, told
from proxies.actions import CancelAt, Dispatch, Fail
from proxies.dispatch import Dispatcher
from proxies.parking import Parking, key_of
from proxies.parties import Call
from proxies.port import Port

ROUTE_MS = struct.Struct("<I")
UNWAITED = ROUTE_MS.pack(0)
LONGEST_MS = 0xFFFFFFFF
PING = Envelope(Kind.PING, 0).encode()
RESET = Envelope(Kind.RESET, 0).encode()


class Delivery:
    """The way out, through the front to clients and through the back to workers.

    What is for clients leaves after each burst of messages, all at once: a message that is sent alone costs several
    times as much, because libzmq's thread has to be woken for it, and writes it alone.

    Attributes:
        parking: what clients had no room for.
    """

    def __init__(self, front: Port, back: Port, dispatcher: Dispatcher) -> None:
        self._front, self._back = front, back
        self._send_front, self._send_back = front.send, back.send
        self._dispatcher = dispatcher
        self._outbox: list[list[Any]] = []
        self.parking = Parking()
        self._route_ms = ROUTE_MS.pack

    def act(self) -> None:
        """Send what waits, and what the dispatcher wants to be sent."""
        self._act()
        while self._outbox:
            outbox, self._outbox = self._outbox, []
            for frames in outbox:
                if (self.parking and key_of(frames) in self.parking) or not self._send_front(frames):
                    self._missed(frames)
            self._act()

    def retry(self) -> None:
        """Try again what clients had no room for."""
        self.parking.retry(self._send_front, lambda: self._front.is_full)

    def _missed(self, frames: list[Any]) -> None:
        """A client is gone, or reads too slowly; a stream with a gap is worth nothing."""
        key = key_of(frames)
        if key is None or (self._front.is_full and self.parking.add(key, frames)):
            return
        self._dispatcher.tally.slow_streams += self._front.is_full
        self._dispatcher.cancel(key)

    def _act(self) -> None:
        for action in self._dispatcher.actions():
            if isinstance(action, Dispatch):
                self._dispatch(action)
            elif isinstance(action, Fail):
                self.fail(action.call, action.error)
            elif isinstance(action, CancelAt):
                client, call_id = action.key
                self.forward(action.worker, client, [Envelope(Kind.CANCEL, call_id).encode()])
            else:
                self.control(action.worker, RESET)

    def _dispatch(self, action: Dispatch) -> None:
        call, waited_ms = action.call, action.waited_ms
        route = call.key[0] + (self._route_ms(min(waited_ms, LONGEST_MS)) if waited_ms else UNWAITED)
        if not self._send_back([action.worker, route, *call.frames]):
            self._dispatcher.undelivered(call, action.worker, time.monotonic())

    def forward(self, worker: bytes, client: bytes, frames: list[Any]) -> bool:
        """Send a worker something about a call of a client; whether it has room. That it is gone, others notice."""
        return self._send_back([worker, client + UNWAITED, *frames]) or not self._back.is_full

    def control(self, worker: bytes, envelope: bytes) -> bool:
        """Send a worker something about itself; whether it is there and has room."""
        return self._send_back([worker, b"", envelope])

    def to_client(self, client: bytes, frames: list[Any]) -> None:
        """Send a client a message."""
        self._outbox.append([client, *frames])

    def is_there(self, client: bytes) -> bool:
        """Whether a client can be reached; one that has no room counts as reachable."""
        return self._front.send([client, PING]) or self._front.is_full

    def answer(self, call: Call, frames: list[Any]) -> None:
        """Send a client the end of its call."""
        self._outbox.append([call.key[0], b"", *frames[1:]] if call.is_legacy else [call.key[0], *frames])

    def fail(self, call: Call, error: RagqError) -> None:
        """Send a client the failure of its call."""
        if call.is_legacy:
            self.to_client(call.key[0], [b"", pack_map({"code": 400, "error": told(error)})])
        else:
            self.refuse(call.key[0], call.key[1], error)

    def refuse(self, client: bytes, call_id: int, error: RagqError) -> None:
        """Send a client an error that the proxy found itself."""
        self.to_client(client, [failure_envelope(call_id, error, "proxy").encode()])
