"""What travels between a client, a proxy and a worker: envelopes, failures, methods, and their limits.

``docs/protocol.md`` is the authority for every number here; a test compares the two.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, NamedTuple, TypeVar

from .errors import BadRequest, RagqError, VersionMismatch, rebuild
from .frames import MAX_FRAME, Buffer
from .packing import MAX_BUFFERS, MAX_UNARY, Payload, pack_map, plain, unpack_map
from .reading import read

__all__ = ["MAX_UNARY", "Envelope", "Flag", "Kind", "Method", "Nothing", "unary"]

VERSION = 1
MAGIC = b"RQ"
HEADER = struct.Struct("<2sBBHBBQIIII")
MAX_ENVELOPE = MAX_FRAME
MAX_META = 64 << 10
STREAM_CREDIT = 128
STREAM_WINDOW = 4 << 20
BEAT_INTERVAL_S = 0.5
DEFAULT_TTL_MS = 30_000
MAX_TTL_MS = 24 * 3600 * 1000
MAX_MESSAGE_CHARS = 8000
MAX_STATUS = 16
TRACE = struct.Struct("<B16s8sB")
SPANS = "spans"

Q = TypeVar("Q")
R = TypeVar("R")
E = TypeVar("E")
Clock = Callable[[], float]


class Kind(IntEnum):
    """The messages of the protocol."""

    HELLO = 1
    WELCOME = 2
    CALL = 3
    REPLY = 4
    CHUNK = 5
    END = 6
    ERROR = 7
    CANCEL = 8
    CREDIT = 9
    READY = 10
    BEAT = 11
    DRAIN = 12
    RESET = 13
    BYE = 14
    NACK = 15
    PING = 16
    PONG = 17
    STATUS = 18


class Flag(IntEnum):
    """Bits of the envelope's flags field; together they are a plain number."""

    IDEMPOTENT = 1
    WANTS_STREAM = 2
    STREAMS_INPUT = 4
    TRACED = 8
    BULK = 32
    BODY_IN_BUFFERS = 64
    LEGACY = 256


TERMINAL = frozenset({Kind.REPLY, Kind.END, Kind.ERROR})
TRACED, BODY_IN_BUFFERS = int(Flag.TRACED), int(Flag.BODY_IN_BUFFERS)
KINDS = {int(kind): kind for kind in Kind}


class Envelope(NamedTuple):
    """One message: the fixed header, the meta map (packed) and the body (packed).

    Attributes:
        id: call id, unique within the client's session.
        ttl_ms: milliseconds left when this hop sent it; 0 means the receiver's default.
        seq: number of a chunk, or a count of slots and stream credits.
        method: crc32 of ``service.method/1``.
        trace: empty, or the trace block of 26 bytes (flag TRACED).
        num_buffers: raw frames that follow this one.
    """

    kind: Kind
    id: int
    flags: int = 0
    status: int = 0
    attempt: int = 0
    ttl_ms: int = 0
    seq: int = 0
    method: int = 0
    meta: bytes = b""
    body: bytes = b""
    num_buffers: int = 0
    trace: bytes = b""

    def encode(self) -> bytes:
        """The frame for this envelope."""
        return _frame(self, self.flags, self.body, self.num_buffers)


def _frame(head: Envelope, flags: int, body: bytes, num_buffers: int) -> bytes:
    header = HEADER.pack(
        MAGIC, VERSION, head.kind, flags | TRACED if head.trace else flags, head.status, head.attempt,
        head.id, head.ttl_ms, head.seq, head.method, len(head.meta) | num_buffers << 24,
    )  # fmt: skip
    return b"".join((header, head.trace, head.meta, body))


class Header(NamedTuple):
    """The fixed 32 bytes, which are all that a proxy reads of a call."""

    magic: bytes
    version: int
    kind: int
    flags: int
    status: int
    attempt: int
    id: int
    ttl_ms: int
    seq: int
    method: int
    counts: int


def peek(frame: Buffer) -> Header:
    """The header of a frame, its lengths checked.

    Raises:
        BadRequest: too short, too long, not ours.
        VersionMismatch: another major version.
    """
    if not HEADER.size <= len(frame) <= MAX_ENVELOPE:
        raise BadRequest(f"an envelope of {len(frame)} bytes; allowed are {HEADER.size} to {MAX_ENVELOPE}")
    header = Header._make(HEADER.unpack_from(frame))
    magic, version, _, flags, _, _, _, _, _, _, counts = header
    if magic != MAGIC:
        raise BadRequest("the frame does not begin with the protocol's magic 'RQ'")
    if version != VERSION:
        raise VersionMismatch(f"a message of protocol version {version} meets version {VERSION}")
    num_meta = counts & 0xFFFFFF
    if num_meta > MAX_META or num_meta > len(frame) - _meta_begin(flags) or counts >> 24 > MAX_BUFFERS:
        raise BadRequest("the envelope's lengths do not fit its frame")
    return header


def _meta_begin(flags: int) -> int:
    return HEADER.size + TRACE.size if flags & TRACED else HEADER.size


def decode(frame: Buffer) -> Envelope:
    """The envelope of a frame; BadRequest or VersionMismatch if it is not one."""
    _, _, number, flags, status, attempt, call_id, ttl_ms, seq, method, counts = peek(frame)
    kind = KINDS.get(number)
    if kind is None:
        raise BadRequest(f"unknown kind of message: {number}")
    raw = frame if type(frame) is bytes else bytes(frame)
    begin = _meta_begin(flags)
    end = begin + (counts & 0xFFFFFF)
    return Envelope(
        kind, call_id, flags & ~TRACED, status, attempt, ttl_ms, seq, method,
        raw[begin:end], raw[end:], counts >> 24, raw[HEADER.size : begin],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Failure:
    """What an ERROR message says in its meta."""

    reason: str
    message: str
    help: str = ""
    retryable: bool = False
    retry_after_ms: int = 0
    where: str = "worker"

    @classmethod
    def of(cls, error: RagqError, where: str) -> Failure:
        """The failure that reports ``error``, whatever its author put into it."""
        return cls(
            error.reason, told(error.message), told(error.help), error.retryable, to_ms(error.retry_after_s), where
        )

    def error(self, code: int) -> RagqError:
        """The error to raise at the caller's side."""
        return rebuild(code, self.reason, self.message, help_text=self.help, retry_after_s=self.retry_after_ms / 1000)


def told(text: object) -> str:
    """``text`` as it may travel in an error: of bounded length, without half surrogate pairs."""
    return str(text)[:MAX_MESSAGE_CHARS].encode("utf-8", "replace").decode()


def to_ms(seconds: float) -> int:
    """Whole milliseconds as the header and an error carry them: 0 to a day."""
    return int(min(max(0.0, seconds * 1000), MAX_TTL_MS))


def failure_envelope(call_id: int, error: RagqError, where: str, meta: Mapping[str, object] | None = None) -> Envelope:
    """The ERROR message for a call; a plug-in's error outside gRPC's numbers counts as UNKNOWN."""
    status = error.code if 0 < error.code <= MAX_STATUS else RagqError.code
    failure = plain(Failure.of(error, where), [])
    assert isinstance(failure, dict)
    return Envelope(Kind.ERROR, call_id, status=status, meta=pack_map({**failure, **(meta or {})}))


def message(head: Envelope, payload: Payload) -> list[Buffer]:
    """The frames of a message: ``head`` with the body and buffers of ``payload``."""
    body, buffers, body_in_buffers = payload
    flags = head.flags | BODY_IN_BUFFERS if body_in_buffers else head.flags
    return [_frame(head, flags, body, len(buffers)), *buffers]


def payload_of(envelope: Envelope, buffers: list[Buffer]) -> Payload:
    """The body of a message that came in; BadRequest when frames are missing."""
    if len(buffers) != envelope.num_buffers:
        raise BadRequest(f"{envelope.num_buffers} buffers were announced, {len(buffers)} came")
    return Payload(envelope.body, buffers, bool(envelope.flags & BODY_IN_BUFFERS))


def read_failure(envelope: Envelope) -> RagqError:
    """The error inside an ERROR message."""
    meta = unpack_map(envelope.meta)
    if isinstance(meta, dict):
        meta.pop(SPANS, None)
    return read(Failure, meta).error(envelope.status)


@dataclass(frozen=True, slots=True)
class Nothing:
    """A request or reply without fields."""


@dataclass(frozen=True, slots=True)
class Method(Generic[Q, R, E]):
    """A method of a service: its name, its messages, and whether it may run twice.

    Attributes:
        name: ``service.method``.
        event: type of the stream's chunks; Nothing for a unary method.
        idempotent: a proxy may give it to a second worker when the first one dies.
        input: type of the chunks that the client sends; Nothing for most.
    """

    name: str
    request: type[Q]
    reply: type[R]
    event: type[E]
    idempotent: bool = True
    input: type = Nothing

    @property
    def key(self) -> int:
        """The number that stands for this method in the header."""
        return method_key(self.name)

    @property
    def service(self) -> str:
        """The service that has it."""
        return self.name.partition(".")[0]


def unary(name: str, request: type[Q], reply: type[R], *, idempotent: bool = True) -> Method[Q, R, Nothing]:
    """A method that answers once."""
    return Method(name, request, reply, Nothing, idempotent)


def method_key(name: str) -> int:
    """crc32 of ``name/1``."""
    return zlib.crc32(f"{name}/1".encode())
