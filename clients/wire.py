"""What travels between a client, a proxy and a worker: envelopes, bodies, arrays, limits.

``docs/protocol.md`` is the authority for every number here; a test compares the two.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import IntEnum, IntFlag
from typing import Any, Generic, NamedTuple, TypeVar

import msgpack
import numpy as np

from .errors import BadRequest, RagqError, TooLarge, VersionMismatch, rebuild
from .reading import read

VERSION = 1
MAGIC = b"RQ"
HEADER = struct.Struct("<2sBBHBBQIIII")
MAX_ENVELOPE = 1 << 20
MAX_FRAME = 1 << 20
MAX_BUFFERS = 64
MAX_UNARY = 8 << 20
MAX_META = 64 << 10
MAX_ITEMS = 100_000
INLINE_ARRAY = 4 << 10
INLINE_BYTES = 64 << 10
INLINE_BODY = 512 << 10
DTYPES = ("<f4", "<f2", "<f8", "<i4", "<i8", "|u1", "|i1", "|b1")

Q = TypeVar("Q")
R = TypeVar("R")
E = TypeVar("E")
T = TypeVar("T")
Buffer = bytes | memoryview


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


class Flag(IntFlag):
    """Bits of the envelope's flags field."""

    IDEMPOTENT = 1
    WANTS_STREAM = 2
    STREAM_INPUT = 4
    TRACE = 8
    NO_REQUEUE = 16
    BULK = 32
    BODY_IN_BUFFERS = 64
    FINAL = 128
    LEGACY = 256


TERMINAL = frozenset({Kind.REPLY, Kind.END, Kind.ERROR})


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message: the fixed header, the meta map (packed) and the body (packed).

    Attributes:
        id: call id, unique within the client's session.
        ttl_ms: milliseconds left when this hop sent it; 0 means the receiver's default.
        seq: number of a chunk, or a count of slots and stream credits.
        method: crc32 of ``service.method/1``.
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

    def encode(self) -> bytes:
        """The frame for this envelope."""
        counts = len(self.meta) | self.num_buffers << 24
        header = HEADER.pack(
            MAGIC, VERSION, self.kind, self.flags, self.status, self.attempt,
            self.id, self.ttl_ms, self.seq, self.method, counts,
        )  # fmt: skip
        return b"".join((header, self.meta, self.body))


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
    """The header of a frame.

    Raises:
        BadRequest: too short, too long, not ours.
        VersionMismatch: another major version.
    """
    if not HEADER.size <= len(frame) <= MAX_ENVELOPE:
        raise BadRequest(f"an envelope of {len(frame)} bytes; allowed are {HEADER.size} to {MAX_ENVELOPE}")
    header = Header._make(HEADER.unpack_from(frame))
    if header.magic != MAGIC:
        raise BadRequest("the frame does not begin with the protocol's magic 'RQ'")
    if header.version != VERSION:
        raise VersionMismatch(f"protocol version {header.version} here meets version {VERSION}")
    return header


def decode(frame: Buffer) -> Envelope:
    """The envelope of a frame; BadRequest or VersionMismatch if it is not one."""
    head = peek(frame)
    meta_end = HEADER.size + (head.counts & 0xFFFFFF)
    num_buffers = head.counts >> 24
    if meta_end > len(frame) or meta_end - HEADER.size > MAX_META or num_buffers > MAX_BUFFERS:
        raise BadRequest("the envelope's lengths do not fit its frame")
    try:
        kind = Kind(head.kind)
    except ValueError:
        raise BadRequest(f"unknown kind of message: {head.kind}") from None
    raw = bytes(frame)
    return Envelope(
        kind=kind, id=head.id, flags=head.flags, status=head.status, attempt=head.attempt,
        ttl_ms=head.ttl_ms, seq=head.seq, method=head.method,
        meta=raw[HEADER.size : meta_end], body=raw[meta_end:], num_buffers=num_buffers,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Payload:
    """A packed body with the raw frames it refers to."""

    body: bytes
    buffers: Sequence[Buffer] = ()
    flags: int = 0

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.body) + sum(len(memoryview(b).cast("B")) for b in self.buffers)


def pack(message: object) -> Payload:
    """A dataclass (or a plain map) as body and buffers.

    Arrays of 4 KiB and more and byte strings of 64 KiB and more leave the body as raw frames of
    at most 1 MiB; a body above 512 KiB follows as frames itself.

    Raises:
        TooLarge: above 8 MiB in all.
    """
    buffers: list[Buffer] = []
    body = pack_map(_plain(message, buffers))
    if len(body) <= INLINE_BODY:
        payload = Payload(body, buffers)
    else:
        parts = _cut(body)
        body_map = pack_map({"__body__": [len(buffers), len(parts)]})
        payload = Payload(body_map, [*buffers, *parts], Flag.BODY_IN_BUFFERS)
    if payload.size > MAX_UNARY or len(payload.buffers) > MAX_BUFFERS:
        raise TooLarge(
            f"a message of {payload.size >> 10} KiB; the limit is {MAX_UNARY >> 10} KiB",
            help="send it in parts",
        )
    return payload


def unpack(cls: type[T], payload: Payload) -> T:
    """The dataclass ``cls`` from body and buffers; BadRequest names the field that is wrong."""
    return read(cls, _revive(_body_map(payload), payload.buffers))


def unpack_raw(payload: Payload) -> object:
    """The body as plain values, arrays revived."""
    return _revive(_body_map(payload), payload.buffers)


def _body_map(payload: Payload) -> object:
    value = unpack_map(payload.body)
    if not payload.flags & Flag.BODY_IN_BUFFERS:
        return value
    match value:
        case {"__body__": [int(first), int(count)]}:
            return unpack_map(b"".join(bytes(b) for b in _slice(payload.buffers, first, count)), MAX_UNARY)
    raise BadRequest("a body in buffers says which buffers")


def pack_map(value: object) -> bytes:
    """Msgpack with binary and text kept apart."""
    packed = msgpack.packb(value, use_bin_type=True)
    assert isinstance(packed, bytes)
    return packed


def unpack_map(raw: Buffer, limit: int = MAX_ENVELOPE) -> object:
    """Plain values from msgpack, within limits that are checked before anything is allocated.

    Raises:
        BadRequest: malformed, too deep, too many items, keys that are not text.
    """
    try:
        return msgpack.unpackb(
            raw, raw=False, strict_map_key=True, max_str_len=limit, max_bin_len=limit,
            max_array_len=MAX_ITEMS, max_map_len=MAX_ITEMS, max_ext_len=0,
        )  # fmt: skip
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise BadRequest(f"the body is not readable msgpack: {error or type(error).__name__}") from error


def _plain(value: object, buffers: list[Buffer]) -> object:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case np.ndarray():
            return _array_out(value, buffers)
        case np.generic():
            return value.item()
        case bytes() | bytearray() | memoryview():
            return _bytes_out(bytes(value), buffers)
        case Mapping():
            return {str(k): _plain(v, buffers) for k, v in value.items()}
        case list() | tuple():
            return [_plain(v, buffers) for v in value]
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name), buffers) for f in fields(value) if f.init}
    raise BadRequest(f"a {type(value).__name__} cannot travel")


def _array_out(array: np.ndarray, buffers: list[Buffer]) -> object:
    dtype = array.dtype.newbyteorder("<").str if array.dtype.itemsize > 1 else array.dtype.str
    if dtype not in DTYPES:
        raise BadRequest(f"an array of dtype {array.dtype} cannot travel; allowed: {', '.join(DTYPES)}")
    raw = np.ascontiguousarray(array, dtype=dtype)
    shape = list(array.shape)
    if raw.nbytes < INLINE_ARRAY:
        return {"__nd__": [dtype, shape, raw.tobytes()]}
    first = len(buffers)
    buffers.extend(_cut(memoryview(raw.reshape(-1)).cast("B")))
    return {"__nd__": [dtype, shape, first, len(buffers) - first]}


def _bytes_out(raw: bytes, buffers: list[Buffer]) -> object:
    if len(raw) < INLINE_BYTES:
        return raw
    first = len(buffers)
    buffers.extend(_cut(raw))
    return {"__bytes__": [first, len(buffers) - first]}


def _cut(raw: Buffer) -> list[Buffer]:
    view = memoryview(raw)
    return [view[i : i + MAX_FRAME] for i in range(0, len(view), MAX_FRAME)]


def _revive(value: object, buffers: Sequence[Buffer]) -> object:
    match value:
        case {"__nd__": list(spec)}:
            return _array_in(spec, buffers)
        case {"__bytes__": [int(first), int(count)]}:
            return b"".join(bytes(b) for b in _slice(buffers, first, count))
        case dict():
            return {k: _revive(v, buffers) for k, v in value.items()}
        case list():
            return [_revive(v, buffers) for v in value] if any(isinstance(v, dict | list) for v in value) else value
    return value


def _array_in(spec: list[Any], buffers: Sequence[Buffer]) -> np.ndarray:
    match spec:
        case [str(dtype), list(shape), bytes(raw)]:
            pass
        case [str(dtype), list(shape), int(first), int(count)]:
            parts = _slice(buffers, first, count)
            raw = parts[0] if count == 1 else b"".join(bytes(p) for p in parts)
        case _:
            raise BadRequest("an array is described by dtype, shape and place")
    if dtype not in DTYPES or len(shape) > 8 or not all(type(n) is int and n >= 0 for n in shape):
        raise BadRequest(f"not an array that may travel: {dtype} {shape}")
    expected = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
    if expected != len(raw):
        raise BadRequest(f"an array {dtype} {shape} wants {expected} bytes, {len(raw)} came")
    return np.frombuffer(raw, dtype=dtype).reshape(shape)


def _slice(buffers: Sequence[Buffer], first: int, count: int) -> Sequence[Buffer]:
    if first < 0 or count < 1 or first + count > len(buffers):
        raise BadRequest(f"buffers {first} to {first + count} of {len(buffers)}")
    return buffers[first : first + count]


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
        """The failure that reports ``error``."""
        return cls(error.reason, error.message, error.help, error.retryable, int(error.retry_after_s * 1000), where)

    def error(self, code: int) -> RagqError:
        """The error to raise at the caller's side."""
        return rebuild(code, self.reason, self.message, help_text=self.help, retry_after_s=self.retry_after_ms / 1000)


def failure_envelope(call_id: int, error: RagqError, where: str, flags: int = 0) -> Envelope:
    """The ERROR message for a call."""
    return Envelope(Kind.ERROR, call_id, flags=flags, status=error.code, meta=pack_map(_plain(Failure.of(error, where), [])))


def read_failure(envelope: Envelope) -> RagqError:
    """The error inside an ERROR message."""
    return read(Failure, unpack_map(envelope.meta)).error(envelope.status)


@dataclass(frozen=True, slots=True)
class Method(Generic[Q, R, E]):
    """A method of a service: its name, its messages, and whether it may run twice.

    Attributes:
        name: ``service.method``.
        event: type of the stream's chunks; None for a unary method.
        idempotent: a proxy may give it to a second worker when the first one dies.
    """

    name: str
    request: type[Q]
    reply: type[R]
    event: type[E] | None = None
    idempotent: bool = True

    @property
    def key(self) -> int:
        """The number that stands for this method in the header."""
        return method_key(self.name)

    @property
    def service(self) -> str:
        """The service that has it."""
        return self.name.partition(".")[0]


def method_key(name: str) -> int:
    """crc32 of ``name/1``."""
    return zlib.crc32(f"{name}/1".encode())


@dataclass(frozen=True, slots=True)
class Nothing:
    """A request or reply without fields."""


Clock = Callable[[], float]
