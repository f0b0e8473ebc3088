"""The codec as plainly as it can be written: no caches, a path at every step. The fast one is compared with it."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Union, get_args, get_origin

import numpy as np

from clients.errors import BadRequest, VersionMismatch
from clients.frames import DTYPES, INLINE_ARRAY, INLINE_BYTES, MAX_DIMENSIONS, MAX_FRAME
from clients.packing import MAX_BUFFERS, MAX_DEPTH
from clients.reading import nearest
from clients.wire import HEADER, MAGIC, MAX_ENVELOPE, MAX_META, TRACE, VERSION, Envelope, Flag, Kind


def plain(value: Any, buffers: list[Any], depth: int = 0) -> Any:  # noqa: PLR0911 - a table, read from the top
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if depth > MAX_DEPTH:
        raise BadRequest(f"a message nested deeper than {MAX_DEPTH} levels")
    match value:
        case list() | tuple():
            return [plain(item, buffers, depth + 1) for item in value]
        case Mapping():
            return {str(key): plain(item, buffers, depth + 1) for key, item in value.items()}
        case np.ndarray():
            return _array(value, buffers)
        case np.generic():
            return value.item()
        case bytes() | bytearray() | memoryview():
            return bytes(value) if len(value) < INLINE_BYTES else {"__bytes__": _cut(bytes(value), buffers)}
    if is_dataclass(value):
        given = {f.name: getattr(value, f.name) for f in fields(value) if f.init}
        blank = {f.name: [None] for f in fields(value) if f.default is None}
        blank |= {f.name: [[]] for f in fields(value) if f.default_factory is list}
        blank |= {f.name: [{}] for f in fields(value) if f.default_factory is dict}
        left_out = {
            name for name, empty in blank.items() if type(given[name]) is type(empty[0]) and given[name] in empty
        }
        return {name: plain(given[name], buffers, depth + 1) for name in given if name not in left_out}
    raise BadRequest(f"a {type(value).__name__} cannot travel")


def _array(array: np.ndarray, buffers: list[Any]) -> Any:
    dtype = array.dtype.newbyteorder("<").str if array.dtype.itemsize > 1 else array.dtype.str
    if array.ndim > MAX_DIMENSIONS:
        raise BadRequest(f"an array of {array.ndim} dimensions cannot travel; at most {MAX_DIMENSIONS}")
    if dtype not in DTYPES:
        raise BadRequest(f"an array of dtype {array.dtype} cannot travel; allowed: {', '.join(DTYPES)}")
    raw = np.ascontiguousarray(array, dtype=dtype).tobytes()
    place = [raw] if len(raw) < INLINE_ARRAY else _cut(raw, buffers)
    return {"__nd__": [dtype, list(array.shape), *place]}


def _cut(raw: bytes, buffers: list[Any]) -> list[Any]:
    first = len(buffers)
    buffers.extend(raw[i : i + MAX_FRAME] for i in range(0, len(raw), MAX_FRAME))
    return [first, len(buffers) - first]


def revive(value: Any, buffers: Sequence[bytes], depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        raise BadRequest(f"a message nested deeper than {MAX_DEPTH} levels")
    match value:
        case {"__nd__": list(spec)}:
            return _array_in(spec, buffers)
        case {"__bytes__": [int(first), int(count)]}:
            return b"".join(_slice(buffers, first, count))
        case dict():
            return {key: revive(item, buffers, depth + 1) for key, item in value.items()}
        case list() if any(isinstance(item, dict | list) for item in value):
            return [revive(item, buffers, depth + 1) for item in value]
    return value


def _array_in(spec: list[Any], buffers: Sequence[bytes]) -> np.ndarray:
    match spec:
        case [str(dtype), list(shape), bytes(raw)]:
            pass
        case [str(dtype), list(shape), int(first), int(count)]:
            raw = b"".join(_slice(buffers, first, count))
        case _:
            raise BadRequest("an array is described by dtype, shape and place")
    if dtype not in DTYPES or len(shape) > MAX_DIMENSIONS or not all(type(n) is int and n >= 0 for n in shape):
        raise BadRequest(f"not an array that may travel: {dtype} {shape}")
    expected = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
    if expected != len(raw):
        raise BadRequest(f"an array {dtype} {shape} wants {expected} bytes, {len(raw)} came")
    try:
        return np.frombuffer(raw, dtype=dtype).reshape(shape)
    except ValueError:
        raise BadRequest(f"not an array that may travel: {dtype} {shape}") from None


def _slice(buffers: Sequence[bytes], first: int, count: int) -> Sequence[bytes]:
    if first < 0 or count < 1 or first + count > len(buffers):
        raise BadRequest(f"buffers {first} to {first + count} of {len(buffers)}")
    return buffers[first : first + count]


def read(cls: Any, mapping: Any, path: str = "") -> Any:
    if not isinstance(mapping, Mapping):
        raise BadRequest(f"{path or cls.__name__}: expected a mapping, got {_kind(mapping)}")
    known = {f.name: f for f in fields(cls) if f.init}
    for key in mapping:
        if key not in known:
            raise BadRequest(f"unknown key '{_join(path, str(key))}'", help=nearest(str(key), known))
    hints, values = typing.get_type_hints(cls), {}
    for name, field in known.items():
        if name in mapping:
            values[name] = convert(hints[name], mapping[name], _join(path, name))
        elif field.default is MISSING and field.default_factory is MISSING:
            raise BadRequest(f"missing key '{_join(path, name)}'")
    return cls(**values)


def convert(hint: Any, value: Any, path: str) -> Any:  # noqa: C901, PLR0911, PLR0912 - a table, read from the top
    args = get_args(hint)
    match get_origin(hint) or hint:
        case anything if anything in (Any, object):
            return value
        case origin if origin in (list, tuple) and args:
            return _sequence(origin, args, value, path)
        case origin if origin is dict and args:
            if not isinstance(value, Mapping):
                raise BadRequest(f"{path}: expected a mapping, got {_kind(value)}")
            return {convert(args[0], k, path): convert(args[1], v, _join(path, str(k))) for k, v in value.items()}
        case origin if origin in (Union, types.UnionType):
            return _union(args, value, path)
        case origin if origin is typing.Literal:
            if any(type(value) is type(arg) and value == arg for arg in args):
                return value
            shown = repr(value) if isinstance(value, str | int | float) else _kind(value)
            raise BadRequest(f"{path}: {shown} is not one of {', '.join(map(str, args))}")
        case origin if origin is np.ndarray and args:
            if not isinstance(value, np.ndarray):
                raise BadRequest(f"{path}: expected an array, got {_kind(value)}")
            return value
        case target if is_dataclass(target):
            return value if isinstance(value, target) else read(target, value, path)
        case target:
            return _scalar(target, value, path)


def _sequence(origin: Any, args: Any, value: Any, path: str) -> Any:
    if not isinstance(value, list | tuple):
        raise BadRequest(f"{path}: expected a list, got {_kind(value)}")
    hints = [args[0]] * len(value) if origin is list or args[1:] == (Ellipsis,) else args
    if len(value) != len(hints):
        raise BadRequest(f"{path}: expected {len(hints)} items, got {len(value)}")
    return origin(convert(hint, item, f"{path}[{i}]") for i, (hint, item) in enumerate(zip(hints, value, strict=True)))


def _union(args: Any, value: Any, path: str) -> Any:
    if value is None and types.NoneType in args:
        return None
    choices = [hint for hint in args if hint is not types.NoneType]
    if len(choices) == 1:
        return convert(choices[0], value, path)
    for hint in choices:
        try:
            return convert(hint, value, path)
        except BadRequest:
            continue
    raise BadRequest(f"{path}: expected {' or '.join(map(_name, choices))}, got {_kind(value)}")


def _scalar(target: Any, value: Any, path: str) -> Any:
    if target is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise BadRequest(f"{path}: a number beyond what a float holds") from None
    if not isinstance(value, target) or (isinstance(value, bool) and target is not bool):
        raise BadRequest(f"{path}: expected {_name(target)}, got {_kind(value)}")
    return value


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _name(target: Any) -> str:
    return "nothing" if target is types.NoneType else getattr(target, "__name__", str(target))


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__


def decode(frame: bytes) -> Envelope:
    if not HEADER.size <= len(frame) <= MAX_ENVELOPE:
        raise BadRequest(f"an envelope of {len(frame)} bytes; allowed are {HEADER.size} to {MAX_ENVELOPE}")
    magic, version, number, flags, status, attempt, call, ttl, seq, method, counts = HEADER.unpack_from(frame)
    if magic != MAGIC:
        raise BadRequest("the frame does not begin with the protocol's magic 'RQ'")
    if version != VERSION:
        raise VersionMismatch(f"a message of protocol version {version} meets version {VERSION}")
    begin = HEADER.size + (TRACE.size if flags & Flag.TRACED else 0)
    end = begin + (counts & 0xFFFFFF)
    if end - begin > min(MAX_META, len(frame) - begin) or counts >> 24 > MAX_BUFFERS:
        raise BadRequest("the envelope's lengths do not fit its frame")
    if number not in set(Kind):
        raise BadRequest(f"unknown kind of message: {number}")
    return Envelope(
        kind=Kind(number), id=call, flags=flags & ~Flag.TRACED, status=status, attempt=attempt, ttl_ms=ttl, seq=seq,
        method=method, meta=frame[begin:end], body=frame[end:], num_buffers=counts >> 24, trace=frame[32:begin],
    )  # fmt: skip
