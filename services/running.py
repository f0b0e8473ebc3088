"""A call that a worker holds, and the chunks that go from and to its handler."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from clients.errors import DataLoss, RagqError
from clients.flow import GRANT_BYTES, Inflow, Outflow, Taken
from clients.frames import Buffer
from clients.packing import MAX_UNARY, Payload
from clients.wire import STREAM_CREDIT, Envelope, Kind, payload_of
from services.service import Call

Grant = Callable[[int], None]
Key = tuple[bytes, int]
LOOK_S = 1.0
MAX_UNTAKEN_BYTES = GRANT_BYTES + MAX_UNARY


class Inbox:
    """The chunks that a client sends, for the handler that takes them one by one.

    The thread that reads the socket puts messages in; the handler's thread checks and unpacks them.
    Nothing is asked for before the handler begins to take, so a call that is refused at once moves no data.

    Args:
        grant: tells the client that there is room for more chunks.
    """

    def __init__(self, call: Call, grant: Grant) -> None:
        self._call, self._grant = call, grant
        self._inflow, self._taken = Inflow("the input"), Taken()
        self._messages: deque[tuple[Envelope, list[Buffer]] | RagqError] = deque()
        self._came = threading.Event()
        self._num_granted = self._num_put = 0  # each is counted by one of the two threads
        self._bytes_taken = self._bytes_put = 0
        self._is_flooded = self._has_ended = False

    def put(self, envelope: Envelope, buffers: list[Buffer]) -> None:
        """A message of the stream came; one beyond all credit is not kept, and the handler is told."""
        if self._is_flooded:
            return
        if envelope.kind is Kind.CHUNK:
            self._num_put += 1
            self._bytes_put += _size(envelope, buffers)
        num_bytes = self._bytes_put - self._bytes_taken
        self._is_flooded = self._num_put > self._num_granted or num_bytes > MAX_UNTAKEN_BYTES
        flood = DataLoss("the input: more chunks came than were granted")
        self._messages.append(flood if self._is_flooded else (envelope, buffers))
        self._came.set()

    def __iter__(self) -> Iterator[Payload]:
        return self

    def __next__(self) -> Payload:
        if self._has_ended:
            raise StopIteration
        if not self._num_granted:
            self._room_for(STREAM_CREDIT)
        envelope, buffers = self._next()
        if envelope.kind is Kind.CHUNK:
            return self._chunk(envelope, buffers)
        self._inflow.end(envelope)
        self._has_ended = True
        raise StopIteration

    def _next(self) -> tuple[Envelope, list[Buffer]]:
        self._call.check()
        if not self._messages:
            self._wait()
        message = self._messages.popleft()
        if isinstance(message, RagqError):
            raise message
        return message

    def _wait(self) -> None:
        with self._call.cancelled.waits(self._came.set):
            while not self._messages:
                self._came.wait(min(LOOK_S, self._call.remaining_s))
                self._came.clear()
                self._call.check()

    def _chunk(self, envelope: Envelope, buffers: list[Buffer]) -> Payload:
        self._bytes_taken += _size(envelope, buffers)
        self._inflow.chunk(envelope, buffers)
        payload = payload_of(envelope, buffers)
        if num_chunks := self._taken.chunk(payload.size):
            self._room_for(num_chunks)
        return payload

    def _room_for(self, num_chunks: int) -> None:
        self._num_granted += num_chunks
        self._grant(num_chunks)


def _size(envelope: Envelope, buffers: list[Buffer]) -> int:
    return len(envelope.body) + sum(map(len, buffers))


class Outbox:
    """The chunks that a handler sends, as fast as the client takes them.

    The thread that reads the socket brings grants; the handler's thread counts, and waits for no lock.
    """

    def __init__(self, call_id: int, call: Call, credit: int) -> None:
        self._id, self._call = call_id, call
        self._outflow = Outflow()
        self._outflow.granted(credit)
        self._grants: deque[int] = deque()
        self._moved = threading.Event()

    def granted(self, num_chunks: int) -> None:
        """The client took chunks."""
        self._grants.append(num_chunks)
        self._moved.set()

    def chunk(self, payload: Payload) -> list[Buffer]:
        """The frames of the next chunk, once there is room for it; raises when nobody waits for it any more."""
        self._take_grants()
        if not self._outflow.has_room(payload.size):
            self._wait_for(payload.size)
        self._call.check()
        return self._outflow.chunk(self._id, payload)

    def _wait_for(self, size: int) -> None:
        with self._call.cancelled.waits(self._moved.set):
            while not self._outflow.has_room(size):
                self._moved.wait(min(LOOK_S, self._call.remaining_s))
                self._moved.clear()
                self._call.check()
                self._take_grants()

    def _take_grants(self) -> None:
        while self._grants:
            self._outflow.granted(self._grants.popleft())

    def end(self, reply: Payload, meta: Mapping[str, object]) -> list[Buffer]:
        """The frames of the END after the last chunk."""
        return self._outflow.end(self._id, reply, meta)


@dataclass(slots=True, eq=False)
class Running:
    """A call that this worker holds.

    Attributes:
        outbox: of a call that streams to its client.
        inbox: of a call whose client streams.
    """

    route: bytes
    id: int
    call: Call
    outbox: Outbox | None = None
    inbox: Inbox | None = None

    def heard(self, envelope: Envelope, buffers: list[Buffer]) -> None:
        """A message of its client came."""
        match envelope.kind:
            case Kind.CANCEL:
                self.call.cancelled.set()
            case Kind.CREDIT if self.outbox is not None:
                self.outbox.granted(envelope.seq)
            case Kind.CHUNK | Kind.END if self.inbox is not None:
                self.inbox.put(envelope, buffers)
