"""How a dataclass becomes a msgpack body with raw array frames beside it, and back."""

from __future__ import annotations

import threading
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, fields, is_dataclass
from functools import cache
from typing import Any, NamedTuple, TypeVar

import msgpack
import numpy as np

from .bounds import check
from .errors import BadRequest, TooLarge
from .frames import MAX_FRAME, Buffer, array_in, array_out, bytes_out, cut, frames_of
from .reading import read

MAX_BUFFERS = 64
MAX_UNARY = 8 << 20
MAX_ITEMS = 100_000
MAX_DEPTH = 64
INLINE_BODY = 512 << 10
KEPT_ROOM = 1 << 20

T = TypeVar("T")
Writer = Callable[[Any, list[Buffer], int], object]
_AS_IT_IS = frozenset((types.NoneType, bool, int, float, str))
_NESTED = frozenset((dict, list))


class Payload(NamedTuple):
    """A packed body with the raw frames it refers to."""

    body: bytes
    buffers: Sequence[Buffer] = ()
    body_in_buffers: bool = False

    @property
    def size(self) -> int:
        """Bytes in all."""
        size = len(self.body)
        for buffer in self.buffers:
            size += memoryview(buffer).nbytes
        return size


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
    payload = Payload(body, buffers) if len(body) <= INLINE_BODY else _in_buffers(body, buffers)
    if buffers or payload.body_in_buffers:
        _refuse_too_large(payload)
    return payload


def _in_buffers(body: bytes, buffers: list[Buffer]) -> Payload:
    parts = cut(body)
    body_map = pack_map({"__body__": [len(buffers), len(parts)]})
    return Payload(body_map, [*buffers, *parts], body_in_buffers=True)


def _refuse_too_large(payload: Payload) -> None:
    if payload.size > MAX_UNARY or len(payload.buffers) > MAX_BUFFERS:
        raise TooLarge(
            f"a message of {payload.size >> 10} KiB; the limit is {MAX_UNARY >> 10} KiB",
            help="send it in parts",
        )


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
            return unpack_map(b"".join(bytes(b) for b in frames_of(payload.buffers, first, count)), MAX_UNARY)
    raise BadRequest("a body in buffers says which buffers")


class _Packer(threading.local):
    """Each thread's packer; a new one for every message would cost more than most messages do."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Take a new one: a packer never gives back the room that it once needed."""
        self.pack = msgpack.Packer(use_bin_type=True).pack


_packer = _Packer()


def pack_map(value: object) -> bytes:
    """Msgpack with binary and text kept apart; BadRequest for what it cannot carry."""
    try:
        packed = _packer.pack(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequest(f"the message cannot travel: {error}") from error
    assert isinstance(packed, bytes)
    if len(packed) > KEPT_ROOM:
        _packer.renew()
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


def plain(value: Any, buffers: list[Buffer], depth: int = 0) -> object:
    """``value`` as msgpack takes it; arrays and long byte strings go to ``buffers``."""
    writer = _writer(type(value))  # type: ignore[arg-type]  # a type is hashable; the checker sees its instances' __hash__
    if writer is None:
        return value
    if depth > MAX_DEPTH:
        raise _too_deep()
    return writer(value, buffers, depth + 1)


@cache
def _writer(kind: type) -> Writer | None:
    """What makes a value of this type plain; None when it is."""
    if issubclass(kind, bool | int | float | str | types.NoneType):
        return None
    for known, writer in _WRITERS:
        if issubclass(kind, known):
            return writer
    return _fields_out(kind) if is_dataclass(kind) else _refused


def _too_deep() -> BadRequest:
    return BadRequest(f"a message nested deeper than {MAX_DEPTH} levels")


def _refused(value: object, _buffers: list[Buffer], _depth: int) -> object:
    raise BadRequest(f"a {type(value).__name__} cannot travel")


def _fields_out(kind: Any) -> Writer:
    # A field that came with a later release is no obstacle to a receiver of an earlier one as long as it says nothing.
    names = [(f.name, _blank(f)) for f in fields(kind) if f.init]

    def write(message: object, buffers: list[Buffer], depth: int) -> object:
        found = {}
        for name, blank in names:
            value = getattr(message, name)
            if type(value) is blank and not value:
                continue
            found[name] = value if type(value) in _AS_IT_IS else plain(value, buffers, depth)
        return found

    return write


def _blank(known: Field[Any]) -> type | None:
    """The type of what the field is by default, where that is nothing or empty."""
    if known.default is None:
        return types.NoneType
    made_by: object = known.default_factory
    return next((kind for kind in _NESTED if made_by is kind), None)


def _map_out(value: Mapping[object, object], buffers: list[Buffer], depth: int) -> object:
    return {str(k): v if type(v) in _AS_IT_IS else plain(v, buffers, depth) for k, v in value.items()}


def _list_out(value: Sequence[object], buffers: list[Buffer], depth: int) -> object:
    if _AS_IT_IS.issuperset(map(type, value)):
        return list(value)
    return [plain(v, buffers, depth) for v in value]


def _number_out(value: np.generic, _buffers: list[Buffer], _depth: int) -> object:
    return value.item()


_WRITERS: tuple[tuple[Any, Writer], ...] = (
    ((list, tuple), _list_out),
    (Mapping, _map_out),
    (np.ndarray, array_out),
    (np.generic, _number_out),
    ((bytes, bytearray, memoryview), bytes_out),
)


def _revive(value: object, buffers: Sequence[Buffer], depth: int = 0) -> object:
    """A fresh value with its arrays and long byte strings put back, in place."""
    if depth > MAX_DEPTH:
        raise _too_deep()
    if type(value) is dict:
        return _revive_map(value, buffers, depth)
    if type(value) is list and not _NESTED.isdisjoint(map(type, value)):
        value[:] = [_revive(item, buffers, depth + 1) for item in value]
    return value


def _revive_map(value: dict[str, Any], buffers: Sequence[Buffer], depth: int) -> object:
    if type(spec := value.get("__nd__")) is list:
        return array_in(spec, buffers)
    if "__bytes__" in value:
        match value:
            case {"__bytes__": [int(first), int(count)]}:
                return b"".join(bytes(b) for b in frames_of(buffers, first, count))
    if value and depth == MAX_DEPTH:
        raise _too_deep()
    for key, item in value.items():
        if type(item) in _NESTED:
            value[key] = _revive(item, buffers, depth + 1)
    return value
