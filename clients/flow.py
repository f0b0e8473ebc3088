"""How many chunks of a stream may be under way, and whether it arrived as it was sent; no socket.

The two ends of a stream count the same: the receiver grants chunks after it took chunks, so a grant
also tells the sender that its oldest chunks are no longer buffered anywhere.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .errors import BadRequest, Corrupted, DataLoss
from .frames import Buffer
from .packing import Payload, pack_map, unpack_map
from .wire import HEADER, STREAM_CREDIT, STREAM_WINDOW, Envelope, Kind, message

GRANT_CHUNKS = STREAM_CREDIT // 2
GRANT_BYTES = 1 << 20
MAX_CREDIT = 1024


@dataclass(slots=True)
class Outflow:
    """The sending end of a stream.

    Attributes:
        credit: chunks that the receiver has room for.
        num_sent: chunks sent so far.
        is_granted: the receiver said that it began; before that its proxy may not know where to send anything.
    """

    credit: int = 0
    num_sent: int = 0
    is_granted: bool = False
    crc: int = 0
    _sizes: deque[int] = field(default_factory=deque)
    _num_bytes: int = 0

    def granted(self, num_chunks: int) -> None:
        """The receiver took chunks, or is ready for the first ones."""
        self.is_granted = True
        self.credit = min(self.credit + max(1, num_chunks), MAX_CREDIT)
        for _ in range(min(num_chunks, len(self._sizes))):
            self._num_bytes -= self._sizes.popleft()

    def has_room(self, size: int) -> bool:
        """Whether a chunk of so many bytes may be sent now.

        The receiver may keep a grant for less than GRANT_BYTES back, so no chunk waits for that.
        """
        has_bytes = self._num_bytes < GRANT_BYTES or self._num_bytes + size <= STREAM_WINDOW
        return self.credit > 0 and has_bytes

    def chunk(self, call_id: int, payload: Payload) -> list[Buffer]:
        """The frames of the next chunk."""
        frames = message(Envelope(Kind.CHUNK, call_id, seq=self.num_sent), payload)
        self.crc = _crc(self.crc, frames[0][HEADER.size :], frames[1:])
        self.credit -= 1
        self.num_sent += 1
        self._sizes.append(payload.size)
        self._num_bytes += payload.size
        return frames

    def end(self, call_id: int, reply: Payload | None = None, meta: Mapping[str, object] | None = None) -> list[Buffer]:
        """The frames of the END after the last chunk."""
        head = Envelope(Kind.END, call_id, seq=self.num_sent, meta=pack_map({"crc": self.crc, **(meta or {})}))
        return message(head, reply or Payload(b""))


@dataclass(slots=True)
class Inflow:
    """The receiving end of a stream.

    Attributes:
        name: of the method, for messages.
        num_chunks: chunks that have come.
    """

    name: str
    num_chunks: int = 0
    crc: int = 0

    def chunk(self, envelope: Envelope, buffers: Sequence[Buffer]) -> None:
        """A chunk came; DataLoss unless it is the next one."""
        if envelope.seq != self.num_chunks:
            raise DataLoss(f"{self.name}: chunk {self.num_chunks} was due, {envelope.seq} came")
        self.crc = _crc(zlib.crc32(envelope.meta, self.crc), envelope.body, buffers)
        self.num_chunks += 1

    def end(self, envelope: Envelope) -> None:
        """The END came; DataLoss if chunks are missing, Corrupted if they are not what was sent."""
        if envelope.seq != self.num_chunks:
            raise DataLoss(f"{self.name}: {envelope.seq} chunks were sent, {self.num_chunks} came")
        if envelope.meta and _crc_in(envelope) not in (None, self.crc):
            raise Corrupted(
                f"{self.name}: {self.num_chunks} chunks came with another checksum than they were sent with"
            )


@dataclass(slots=True)
class Taken:
    """What the receiver's program took of a stream since the last grant."""

    num_chunks: int = 0
    num_bytes: int = 0

    def chunk(self, size: int) -> int:
        """The program took a chunk; how many to grant now, most times none."""
        self.num_chunks += 1
        self.num_bytes += size
        if self.num_chunks < GRANT_CHUNKS and self.num_bytes < GRANT_BYTES:
            return 0
        num_chunks, self.num_chunks, self.num_bytes = self.num_chunks, 0, 0
        return num_chunks


@dataclass(slots=True)
class Input:
    """The chunks of a client's stream, from its program to its worker.

    Attributes:
        waiting: chunks that the program gave and that could not be sent yet; None after the last one.
    """

    waiting: deque[Payload | None] = field(default_factory=deque)
    outflow: Outflow = field(default_factory=Outflow)
    _has_ended: bool = False

    @property
    def has_begun(self) -> bool:
        """Whether chunks were sent, which their program cannot give again."""
        return self.outflow.num_sent > 0

    def add(self, payload: Payload | None) -> None:
        """The program gave a chunk, or said with None that there are no more."""
        self.waiting.append(payload)

    def ready(self, call_id: int) -> Iterator[list[Buffer]]:
        """The messages that may be sent now, once."""
        while self.waiting and self.outflow.is_granted:
            payload = self.waiting[0]
            if payload is None:
                yield from self._end(call_id)
                return
            if not self.outflow.has_room(payload.size):
                return
            self.waiting.popleft()
            yield self.outflow.chunk(call_id, payload)

    def _end(self, call_id: int) -> Iterator[list[Buffer]]:
        if not self._has_ended:
            self._has_ended = True
            yield self.outflow.end(call_id)

    def restart(self) -> None:
        """The call goes to another worker, which grants anew."""
        self.outflow, self._has_ended = Outflow(), False


def _crc(crc: int, head: Buffer, buffers: Sequence[Buffer]) -> int:
    crc = zlib.crc32(head, crc)
    for buffer in buffers:
        crc = zlib.crc32(buffer, crc)
    return crc


def _crc_in(envelope: Envelope) -> object:
    meta = unpack_map(envelope.meta)
    if not isinstance(meta, dict):
        raise BadRequest("the meta of an END is a map")
    return meta.get("crc")
