"""How a dataclass becomes a msgpack body with raw array frames beside it, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar

import msgpack
import numpy as np

from .bounds import check
from .errors import BadRequest, TooLarge
from .reading import read

MAX_FRAME = 1 << 20
MAX_BUFFERS = 64
MAX_UNARY = 8 << 20
MAX_ITEMS = 100_000
MAX_DEPTH = 64
MAX_DIMENSIONS = 8
INLINE_ARRAY = 4 << 10
INLINE_BYTES = 64 << 10
INLINE_BODY = 512 << 10
DTYPES = ("<f4", "<f2", "<f8", "<i4", "<i8", "|u1", "|i1", "|b1")

T = TypeVar("T")
Buffer = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Payload:
    """A packed body with the raw frames it refers to."""

    body: bytes
    buffers: Sequence[Buffer] = ()
    body_in_buffers: bool = False

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
        BadRequest: a value that msgpack cannot carry: another type, an integer beyond 64 bits, half a surrogate pair.
    """
    buffers: list[Buffer] = []
    body = pack_map(plain(message, buffers))
    if len(body) <= INLINE_BODY:
        payload = Payload(body, buffers)
    else:
        parts = _cut(body)
        body_map = pack_map({"__body__": [len(buffers), len(parts)]})
        payload = Payload(body_map, [*buffers, *parts], body_in_buffers=True)
    if payload.size > MAX_UNARY or len(payload.buffers) > MAX_BUFFERS:
        raise TooLarge(
            f"a message of {payload.size >> 10} KiB; the limit is {MAX_UNARY >> 10} KiB",
            help="send it in parts",
        )
    return payload


def unpack(cls: type[T], payload: Payload) -> T:
    """The dataclass ``cls``, or for ``object`` whatever came; BadRequest names the field that is wrong."""
    value = _revive(_body_map(payload), payload.buffers)
    return value if cls is object else read(cls, value)  # type: ignore[return-value]  # anything is an object


def unpack_raw(payload: Payload) -> object:
    """The body as plain values, arrays revived."""
    return _revive(_body_map(payload), payload.buffers)


def _body_map(payload: Payload) -> object:
    value = unpack_map(payload.body)
    if not payload.body_in_buffers:
        return value
    match value:
        case {"__body__": [int(first), int(count)]}:
            return unpack_map(b"".join(bytes(b) for b in _slice(payload.buffers, first, count)), MAX_UNARY)
    raise BadRequest("a body in buffers says which buffers")


def pack_map(value: object) -> bytes:
    """Msgpack with binary and text kept apart; BadRequest for what it cannot carry."""
    try:
        packed = msgpack.packb(value, use_bin_type=True)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequest(f"the message cannot travel: {error}") from error
    assert isinstance(packed, bytes)
    return packed


def unpack_map(raw: Buffer, limit: int = MAX_FRAME) -> object:
    """Plain values from msgpack, within limits that are checked before anything is allocated.

    Raises:
        BadRequest: malformed, too many items or containers, keys that are numbers.
    """
    most = min(MAX_ITEMS, len(raw))  # an item takes a byte at least: a short body cannot announce a long list
    check(raw if isinstance(raw, bytes) else bytes(raw), most)
    try:
        return msgpack.unpackb(
            raw, raw=False, strict_map_key=True, max_str_len=limit, max_bin_len=limit,
            max_array_len=most, max_map_len=most, max_ext_len=0,
        )  # fmt: skip
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise BadRequest(f"the body is not readable msgpack: {type(error).__name__} {error}") from error


def plain(value: object, buffers: list[Buffer], depth: int = 0) -> object:
    """``value`` as msgpack takes it; arrays and long byte strings go to ``buffers``."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if depth > MAX_DEPTH:
        raise _too_deep()
    for kind, writer in _WRITERS:
        if isinstance(value, kind):
            return writer(value, buffers, depth + 1)
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name), buffers, depth + 1) for f in fields(value) if f.init}
    raise BadRequest(f"a {type(value).__name__} cannot travel")


def _too_deep() -> BadRequest:
    return BadRequest(f"a message nested deeper than {MAX_DEPTH} levels")


def _map_out(value: Mapping[object, object], buffers: list[Buffer], depth: int) -> object:
    return {str(k): plain(v, buffers, depth) for k, v in value.items()}


def _list_out(value: Sequence[object], buffers: list[Buffer], depth: int) -> object:
    return [plain(v, buffers, depth) for v in value]


def _number_out(value: np.generic, _buffers: list[Buffer], _depth: int) -> object:
    return value.item()


def _array_out(array: np.ndarray, buffers: list[Buffer], _depth: int) -> object:
    dtype = array.dtype.newbyteorder("<").str if array.dtype.itemsize > 1 else array.dtype.str
    if array.ndim > MAX_DIMENSIONS:
        raise BadRequest(f"an array of {array.ndim} dimensions cannot travel; at most {MAX_DIMENSIONS}")
    if dtype not in DTYPES:
        raise BadRequest(f"an array of dtype {array.dtype} cannot travel; allowed: {', '.join(DTYPES)}")
    raw = np.ascontiguousarray(array, dtype=dtype)
    shape = list(array.shape)
    if raw.nbytes < INLINE_ARRAY:
        return {"__nd__": [dtype, shape, raw.tobytes()]}
    first = len(buffers)
    buffers.extend(_cut(raw.reshape(-1).view(np.uint8).data))
    return {"__nd__": [dtype, shape, first, len(buffers) - first]}


def _bytes_out(value: Buffer, buffers: list[Buffer], _depth: int) -> object:
    raw = bytes(value)
    if len(raw) < INLINE_BYTES:
        return raw
    first = len(buffers)
    buffers.extend(_cut(raw))
    return {"__bytes__": [first, len(buffers) - first]}


_WRITERS: tuple[tuple[Any, Callable[[Any, list[Buffer], int], object]], ...] = (
    ((list, tuple), _list_out),
    (Mapping, _map_out),
    (np.ndarray, _array_out),
    (np.generic, _number_out),
    ((bytes, bytearray, memoryview), _bytes_out),
)


def _cut(raw: Buffer) -> list[Buffer]:
    view = memoryview(raw)
    return [view[i : i + MAX_FRAME] for i in range(0, len(view), MAX_FRAME)]


def _revive(value: object, buffers: Sequence[Buffer], depth: int = 0) -> object:
    if depth > MAX_DEPTH:
        raise _too_deep()
    match value:
        case {"__nd__": list(spec)}:
            return _array_in(spec, buffers)
        case {"__bytes__": [int(first), int(count)]}:
            return b"".join(bytes(b) for b in _slice(buffers, first, count))
        case dict():
            return {k: _revive(v, buffers, depth + 1) for k, v in value.items()}
        case list() if any(isinstance(v, dict | list) for v in value):
            return [_revive(v, buffers, depth + 1) for v in value]
    return value


def _array_in(spec: list[Any], buffers: Sequence[Buffer]) -> np.ndarray:
    match spec:
        case [str(dtype), list(shape), bytes(inline)]:
            raw: Buffer = inline
        case [str(dtype), list(shape), int(first), int(count)]:
            parts = _slice(buffers, first, count)
            raw = parts[0] if count == 1 else b"".join(bytes(p) for p in parts)
        case _:
            raise BadRequest("an array is described by dtype, shape and place")
    if dtype not in DTYPES or len(shape) > MAX_DIMENSIONS or not all(type(n) is int and n >= 0 for n in shape):
        raise BadRequest(f"not an array that may travel: {dtype} {shape}")
    expected = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
    if expected != len(raw):
        raise BadRequest(f"an array {dtype} {shape} wants {expected} bytes, {len(raw)} came")
    try:
        return np.frombuffer(raw, dtype=dtype).reshape(shape)
    except ValueError as error:  # no bytes, and dimensions that numpy cannot count
        raise BadRequest(f"not an array that may travel: {dtype} {shape}") from error


def _slice(buffers: Sequence[Buffer], first: int, count: int) -> Sequence[Buffer]:
    if first < 0 or count < 1 or first + count > len(buffers):
        raise BadRequest(f"buffers {first} to {first + count} of {len(buffers)}")
    return buffers[first : first + count]
