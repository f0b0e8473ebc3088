"""How do arrays and long byte strings leave a message as raw frames, and come back from them?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import BadRequest

MAX_FRAME = 1 << 20
MAX_DIMENSIONS = 8
INLINE_ARRAY = 4 << 10
INLINE_BYTES = 64 << 10
DTYPES = ("<f4", "<f2", "<f8", "<i4", "<i8", "|u1", "|i1", "|b1")

Buffer = bytes | memoryview
_BY_NAME = {name: np.dtype(name) for name in DTYPES}
_NAMES = {dtype: name for name, dtype in _BY_NAME.items()}


def array_out(array: np.ndarray, buffers: list[Buffer], _depth: int) -> object:
    """What stands in the body for an array; BadRequest when its dtype or shape may not travel."""
    dtype = _NAMES.get(array.dtype) or array.dtype.newbyteorder("<").str
    if array.ndim > MAX_DIMENSIONS:
        raise BadRequest(f"an array of {array.ndim} dimensions cannot travel; at most {MAX_DIMENSIONS}")
    if dtype not in _BY_NAME:
        raise BadRequest(f"an array of dtype {array.dtype} cannot travel; allowed: {', '.join(DTYPES)}")
    raw = np.ascontiguousarray(array, dtype=_BY_NAME[dtype])
    shape = list(array.shape)
    if raw.nbytes < INLINE_ARRAY:
        return {"__nd__": [dtype, shape, raw.tobytes()]}
    first = len(buffers)
    buffers.extend(cut(raw.reshape(-1).view(np.uint8).data))
    return {"__nd__": [dtype, shape, first, len(buffers) - first]}


def bytes_out(value: Buffer, buffers: list[Buffer], _depth: int) -> object:
    """What stands in the body for a byte string."""
    raw = bytes(value)
    if len(raw) < INLINE_BYTES:
        return raw
    first = len(buffers)
    buffers.extend(cut(raw))
    return {"__bytes__": [first, len(buffers) - first]}


def cut(raw: Buffer) -> list[Buffer]:
    """Bytes as frames of at most 1 MiB."""
    view = memoryview(raw)
    return [view[i : i + MAX_FRAME] for i in range(0, len(view), MAX_FRAME)]


def array_in(spec: list[Any], buffers: Sequence[Buffer]) -> np.ndarray:
    """The array that a description in a body means; BadRequest when it is none, or another one than came."""
    if not (len(spec) in (3, 4) and isinstance(spec[0], str) and isinstance(spec[1], list)):
        raise _no_description()
    dtype, shape = _BY_NAME.get(spec[0]), spec[1]
    raw = _raw_of_array(spec[2:], buffers)
    if dtype is None or len(shape) > MAX_DIMENSIONS or not all(type(n) is int and n >= 0 for n in shape):
        raise BadRequest(f"not an array that may travel: {spec[0]} {shape}")
    expected = math.prod(shape) * dtype.itemsize
    if expected != len(raw):
        raise BadRequest(f"an array {spec[0]} {shape} wants {expected} bytes, {len(raw)} came")
    try:
        return np.frombuffer(raw, dtype).reshape(shape)
    except ValueError as error:  # no bytes, and dimensions that numpy cannot count
        raise BadRequest(f"not an array that may travel: {spec[0]} {shape}") from error


def _raw_of_array(place: list[Any], buffers: Sequence[Buffer]) -> Buffer:
    if len(place) == 1 and isinstance(place[0], bytes):
        return place[0]
    if len(place) == 2 and isinstance(place[0], int) and isinstance(place[1], int):
        parts = frames_of(buffers, *place)
        return parts[0] if len(parts) == 1 else b"".join(bytes(p) for p in parts)
    raise _no_description()


def _no_description() -> BadRequest:
    return BadRequest("an array is described by dtype, shape and place")


def frames_of(buffers: Sequence[Buffer], first: int, count: int) -> Sequence[Buffer]:
    """The frames that a description means; BadRequest when they did not come."""
    if first < 0 or count < 1 or first + count > len(buffers):
        raise BadRequest(f"buffers {first} to {first + count} of {len(buffers)}")
    return buffers[first : first + count]
