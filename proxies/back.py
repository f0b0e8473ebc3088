"""What workers say to a proxy."""

from __future__ import annotations

import struct
from typing import Any

from clients.errors import BadRequest, Forbidden, RagqError
from clients.greetings import Beat, Ready
from clients.packing import unpack_map
from clients.reading import read
from clients.wire import (
    MAGIC,
    VERSION,
    Envelope,
    Kind,
    decode,
    failure_envelope,
    method_key,
    peek,
    read_failure,
)
from proxies.delivery import RESET, ROUTE_MS, Delivery
from proxies.dispatch import Dispatcher
from proxies.front import LEGACY_METHOD
from proxies.guard import Guard

HEAD = struct.Struct("<2sBBHBBQ")
READ = HEAD.unpack_from
REPLY, CHUNK, END, ERROR = int(Kind.REPLY), int(Kind.CHUNK), int(Kind.END), int(Kind.ERROR)
NUM_MS = ROUTE_MS.size
DRAINED = Envelope(Kind.DRAIN, 0).encode()
PONG = Envelope(Kind.PONG, 0).encode()


class Back:
    """The side of the workers; the proxy hands it every message that comes there."""

    def __init__(self, dispatcher: Dispatcher, delivery: Delivery, guard: Guard | None) -> None:
        self._dispatcher, self._delivery, self._guard = dispatcher, delivery, guard

    def hear(self, frames: list[Any], principal: str, now: float) -> None:
        """A message came: the worker's routing id, a route or an empty frame, and what it sent."""
        try:
            if len(frames) < 3:
                raise BadRequest("a worker's message has a route and an envelope")
            if len(frames[1]):
                self._about_call(frames, now)
            else:
                self._about_itself(frames[0], decode(frames[2]), principal, now)
        except Forbidden as error:
            self._delivery.control(frames[0], failure_envelope(0, error, "proxy").encode())
        except RagqError:
            self._dispatcher.tally.protocol_errors += 1
            self._delivery.control(frames[0], RESET)

    def _about_call(self, frames: list[Any], now: float) -> None:
        worker, route, head = frames[0], frames[1], frames[2]
        if len(head) < HEAD.size or len(route) <= NUM_MS:
            raise BadRequest("the worker's message is too short")
        magic, version, kind, _, _, _, call_id = READ(head)
        if magic != MAGIC or version != VERSION:
            peek(head)
        key = (route[:-NUM_MS], call_id)
        if kind in (REPLY, END):
            call = self._dispatcher.replied(worker, key, now, failed=False)
        elif kind == CHUNK:
            self._chunk(worker, key, frames[2:])
            return
        elif kind == ERROR:
            code, reason = _told(head)
            call = self._dispatcher.replied(worker, key, now, failed=True, code=code, reason=reason)
        else:
            self._rarely(worker, key, kind, frames[2:], now)
            return
        if call is not None:
            self._delivery.answer(call, frames[2:])

    def _chunk(self, worker: bytes, key: tuple[bytes, int], frames: list[Any]) -> None:
        if self._dispatcher.chunk(worker, key):
            self._delivery.to_client(key[0], frames)

    def _rarely(self, worker: bytes, key: tuple[bytes, int], kind: int, frames: list[Any], now: float) -> None:
        if kind == Kind.NACK:
            self._dispatcher.nack(worker, key, now)
        elif kind == Kind.CREDIT:
            if self._dispatcher.credited(worker, key):
                self._delivery.to_client(key[0], frames)
        else:
            raise BadRequest(f"a worker does not send messages of kind {kind} about a call")

    def _about_itself(self, worker: bytes, envelope: Envelope, principal: str, now: float) -> None:
        match envelope.kind:
            case Kind.READY:
                if self._guard:
                    self._guard.admit(worker, principal)
                ready = read(Ready, unpack_map(envelope.body))
                methods = frozenset(map(method_key, ready.methods)) | {LEGACY_METHOD}
                methods -= frozenset(map(method_key, ready.elsewhere))
                self._dispatcher.ready(worker, ready, methods, now)
            case Kind.BEAT:
                beat = read(Beat, unpack_map(envelope.body))
                held = frozenset((route[:-NUM_MS], call_id) for route, call_id in beat.running)
                self._dispatcher.beat(worker, beat, held, now)
            case Kind.DRAIN:
                self._dispatcher.drain_worker(worker)
                self._delivery.act()
                self._delivery.control(worker, DRAINED)
            case Kind.BYE:
                self._dispatcher.gone(worker, now)
            case Kind.PING:
                self._delivery.control(worker, PONG)
            case Kind.PONG:
                pass
            case _:
                raise BadRequest(f"a worker does not send messages of kind {envelope.kind} about itself")


def _told(head: Any) -> tuple[int, str]:
    """Number and reason of a failure; one that cannot be read is forwarded all the same."""
    try:
        error = read_failure(decode(head))
    except RagqError:
        return RagqError.code, RagqError.reason
    return error.code, error.reason
