"""What clients say to a proxy."""

from __future__ import annotations

from typing import Any

from clients.errors import BadRequest, RagqError, TooLarge
from clients.greetings import LEGACY, Hello, Welcome
from clients.packing import MAX_BUFFERS, MAX_UNARY, pack, unpack_map
from clients.reading import read
from clients.wire import (
    DEFAULT_TTL_MS,
    HEADER,
    MAGIC,
    MAX_ENVELOPE,
    MAX_META,
    TRACE,
    VERSION,
    Envelope,
    Flag,
    Header,
    Kind,
    decode,
    message,
    method_key,
    peek,
)
from proxies.delivery import Delivery
from proxies.dispatch import Dispatcher
from proxies.guard import Guard
from proxies.parties import Call
from proxies.system import System

LEGACY_METHOD = method_key(LEGACY)
LEGACY_TTL_S = 60.0
MAX_CALL_BYTES = HEADER.size + TRACE.size + MAX_META + MAX_UNARY
CALL, TRACED = int(Kind.CALL), int(Flag.TRACED)
MASK_META = 0xFFFFFF
BYE = Envelope(Kind.BYE, 0).encode()
PONG = Envelope(Kind.PONG, 0).encode()
LOW_BITS = 0xFF
UNKNOWN_FLAGS = LOW_BITS & ~sum(flag for flag in Flag if flag <= LOW_BITS)
READ = HEADER.unpack_from


class Front:
    """The side of the clients; the proxy hands it every message that comes there.

    Attributes:
        greeted: clients that said HELLO and have not said BYE.
    """

    def __init__(
        self, dispatcher: Dispatcher, delivery: Delivery, guard: Guard | None, system: System, welcome: Welcome
    ) -> None:
        self._dispatcher, self._delivery, self._guard, self._system = dispatcher, delivery, guard, system
        self._welcome = message(Envelope(Kind.WELCOME, 0), pack(welcome))
        self.greeted: set[bytes] = set()
        self._is_leaving = False
        self._num_older = 0

    def leave(self) -> None:
        """Ask everyone to send no more calls here."""
        self._is_leaving = True
        for client in self.greeted:
            self._delivery.to_client(client, [BYE])

    def forget(self, client: bytes) -> None:
        """A client is not there any more."""
        self.greeted.discard(client)
        self._dispatcher.client_gone(client)

    def hear(self, frames: list[Any], principal: str, now: float) -> None:
        """A message came: the client's routing id, then what it sent."""
        client, head = frames[0], frames[1]
        if not len(head):
            self._older_call(client, frames[2:], principal, now)
            return
        try:
            fields = READ(head) if len(head) >= HEADER.size else peek(head)
            if self._guard:
                self._check(self._guard, principal, fields)
            if fields[2] != CALL:
                self._other(client, peek(head), frames[1:])
            elif fields[9] in self._system:
                self._builtin(client, frames[1:], principal)
            else:
                self._call(client, head, fields, frames, now)
        except RagqError as error:
            self._dispatcher.tally.protocol_errors += isinstance(error, BadRequest)
            call_id = READ(head)[6] if len(head) >= HEADER.size else 0
            self._delivery.refuse(client, call_id, error)

    def _check(self, guard: Guard, principal: str, fields: Any) -> None:
        guard.check_client(principal)
        if fields[2] == CALL:
            guard.check_call(principal, fields[9])

    def _call(self, client: bytes, head: Any, fields: Any, frames: list[Any], now: float) -> None:
        magic, version, _, flags, _, _, call_id, ttl_ms, _, method, counts = fields
        size = len(head)
        room = size - HEADER.size - TRACE.size if flags & TRACED else size - HEADER.size
        num_meta = counts & MASK_META
        if magic != MAGIC or version != VERSION or num_meta > room or num_meta > MAX_META or size > MAX_ENVELOPE:
            peek(head)
        if flags & UNKNOWN_FLAGS:
            raise BadRequest(f"the flags {flags:#06x} have bits that this version of the protocol does not know")
        del frames[0]
        if len(frames) != 1 or counts > MASK_META:
            size = _size(frames, counts >> 24)
        deadline = now + (ttl_ms or DEFAULT_TTL_MS) / 1000
        self._dispatcher.call(Call((client, call_id), method, flags, frames, now, deadline, size), now)

    def _builtin(self, client: bytes, frames: list[Any], principal: str) -> None:
        is_admin = self._guard is not None and self._guard.access.is_admin(principal)
        self._delivery.to_client(client, self._system.answer(frames, is_admin=is_admin))

    def _hello(self, client: bytes, frame: Any) -> None:
        read(Hello, unpack_map(decode(frame).body))
        if self._is_leaving:
            self._delivery.to_client(client, [BYE])
        else:
            self.greeted.add(client)
            self._delivery.to_client(client, self._welcome)

    def _other(self, client: bytes, header: Header, frames: list[Any]) -> None:
        match header.kind:
            case Kind.CANCEL:
                self._dispatcher.cancel((client, header.id))
            case Kind.CREDIT | Kind.CHUNK | Kind.END:
                self._to_worker(client, header, frames)
            case Kind.HELLO:
                self._hello(client, frames[0])
            case Kind.BYE:
                self.forget(client)
            case Kind.STATUS:
                self._delivery.to_client(client, self._system.status(header.id))
            case Kind.PING:
                self._delivery.to_client(client, [PONG])
            case Kind.PONG:
                pass
            case _:
                raise BadRequest(f"a client does not send messages of kind {header.kind}")

    def _to_worker(self, client: bytes, header: Header, frames: list[Any]) -> None:
        """Hand on what a client says to its call; what comes late goes nowhere."""
        key = (client, header.id)
        worker = self._dispatcher.input_of(key)
        if worker is None:
            return
        if header.kind != Kind.CREDIT and not self._dispatcher.calls[key].flags & Flag.STREAMS_INPUT:
            raise BadRequest("chunks came for a call that did not announce any")
        if not self._delivery.forward(worker, client, frames):
            self._dispatcher.cancel(key)

    def _older_call(self, client: bytes, frames: list[Any], principal: str, now: float) -> None:
        self._num_older += 1
        envelope = Envelope(Kind.CALL, self._num_older, flags=Flag.LEGACY, method=LEGACY_METHOD, num_buffers=1)
        call = Call(
            (client, self._num_older), LEGACY_METHOD, Flag.LEGACY, [envelope.encode(), *frames],
            now, now + LEGACY_TTL_S, sum(map(len, frames)), is_legacy=True,
        )  # fmt: skip
        try:
            if self._guard:
                self._guard.check_call(principal, LEGACY_METHOD)
            if len(frames) != 1:
                raise BadRequest(f"a request is one frame with one msgpack map; {len(frames)} frames came")
            self._dispatcher.call(call, now)
        except RagqError as error:
            self._dispatcher.tally.protocol_errors += isinstance(error, BadRequest)
            self._delivery.fail(call, error)


def _size(frames: list[Any], num_announced: int) -> int:
    num = len(frames) - 1
    if num != num_announced or num > MAX_BUFFERS:
        raise BadRequest(f"{num_announced} buffers were announced, {num} came; at most {MAX_BUFFERS} may")
    size = sum(map(len, frames))
    if size > MAX_CALL_BYTES:
        raise TooLarge(f"a call of {size >> 10} KiB; the limit is {MAX_UNARY >> 10} KiB", help="send it in parts")
    return size
