"""What a worker knows of a call that it holds: where the answer goes, what may be sent, what came in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from clients.errors import DataLoss
from clients.flow import Inflow, Outflow, Taken
from clients.packing import Buffer, Payload
from clients.wire import STREAM_CREDIT, Envelope, Kind, payload_of
from services.service import Call

Grant = Callable[[int], None]
Key = tuple[bytes, int]
LOOK_S = 1.0
MAX_UNTAKEN = 2 * STREAM_CREDIT


class Inbox:
    """The chunks that a client sends, for the handler that takes them one by one.

    The thread that reads the socket puts messages in; the handler's thread checks and unpacks them.

    Args:
        grant: tells the client that there is room for more chunks.
    """

    def __init__(self, call: Call, grant: Grant) -> None:
        self._call, self._grant = call, grant
        self._inflow, self._taken = Inflow("the input"), Taken()
        self._messages: SimpleQueue[tuple[Envelope, list[Buffer]] | None] = SimpleQueue()
        self._has_ended = self._is_flooded = False

    def open(self) -> None:
        """Tell the client to begin."""
        self._grant(STREAM_CREDIT)

    def put(self, envelope: Envelope, buffers: list[Buffer]) -> None:
        """A message of the stream came; one beyond all credit is not kept, and the handler is told."""
        if self._messages.qsize() <= MAX_UNTAKEN:
            self._messages.put((envelope, buffers))
        else:
            self._is_flooded = True

    def wake(self) -> None:
        """The call was cancelled: whoever waits for a chunk looks again."""
        self._messages.put(None)

    def __iter__(self) -> Iterator[Payload]:
        return self

    def __next__(self) -> Payload:
        while not self._has_ended:
            message = self._next()
            if message is None:
                continue
            envelope, buffers = message
            if envelope.kind is Kind.CHUNK:
                return self._chunk(envelope, buffers)
            self._inflow.end(envelope)
            self._has_ended = True
        raise StopIteration

    def _next(self) -> tuple[Envelope, list[Buffer]] | None:
        self._call.check()
        if self._is_flooded:
            raise DataLoss("the input: more chunks came than were granted")
        try:
            message = self._messages.get(timeout=min(LOOK_S, self._call.remaining_s))
        except Empty:
            return None
        self._call.check()
        return message

    def _chunk(self, envelope: Envelope, buffers: list[Buffer]) -> Payload:
        self._inflow.chunk(envelope, buffers)
        payload = payload_of(envelope, buffers)
        if num_chunks := self._taken.chunk(payload.size):
            self._grant(num_chunks)
        return payload


class Outbox:
    """The chunks that a handler sends, as fast as the client takes them."""

    def __init__(self, call_id: int, call: Call, credit: int) -> None:
        self._id, self._call = call_id, call
        self._outflow = Outflow()
        self._outflow.granted(credit)
        self._changed = threading.Condition()

    def granted(self, num_chunks: int) -> None:
        """The client took chunks."""
        with self._changed:
            self._outflow.granted(num_chunks)
            self._changed.notify()

    def wake(self) -> None:
        """The call was cancelled: whoever waits for room looks again."""
        with self._changed:
            self._changed.notify()

    def chunk(self, payload: Payload) -> list[Buffer]:
        """The frames of the next chunk, once there is room for it; raises when nobody waits for it any more."""
        with self._changed:
            self._call.check()
            while not self._outflow.has_room(payload.size):
                self._changed.wait(min(LOOK_S, self._call.remaining_s))
                self._call.check()
            return self._outflow.chunk(self._id, payload)

    def end(self, reply: Payload, meta: Mapping[str, object]) -> list[Buffer]:
        """The frames of the END after the last chunk."""
        return self._outflow.end(self._id, reply, meta)


@dataclass(slots=True, eq=False)
class Running:
    """A call that this worker holds.

    Attributes:
        epoch: of the connection that it came over; its answer goes over no other.
        outbox: of a call that streams to its client.
        inbox: of a call whose client streams.
    """

    route: bytes
    id: int
    call: Call
    epoch: object
    outbox: Outbox | None = None
    inbox: Inbox | None = None

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        self.call.cancelled.set()
        if self.outbox is not None:
            self.outbox.wake()
        if self.inbox is not None:
            self.inbox.wake()

    def heard(self, envelope: Envelope, buffers: list[Buffer]) -> None:
        """A message of its client came."""
        match envelope.kind:
            case Kind.CANCEL:
                self.cancel()
            case Kind.CREDIT if self.outbox is not None:
                self.outbox.granted(envelope.seq)
            case Kind.CHUNK | Kind.END if self.inbox is not None:
                self.inbox.put(envelope, buffers)
