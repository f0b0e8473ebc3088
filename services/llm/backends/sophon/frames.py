"""What goes through the pipe between a worker and the process of a device: a small map and arrays as raw bytes."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import IO, Any

import msgpack
import numpy as np

LENGTH = struct.Struct("<I")
MAX_HEAD_BYTES = 16 << 20


def send(pipe: IO[bytes], head: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> None:
    """Write a message; BrokenPipeError when the other side is gone."""
    whole = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    shapes = {name: [array.dtype.str, list(array.shape)] for name, array in whole.items()}
    packed = msgpack.packb({**head, "arrays": shapes})
    pipe.write(LENGTH.pack(len(packed)))
    pipe.write(packed)
    for array in whole.values():
        pipe.write(array.data.cast("B") if array.size else b"")
    pipe.flush()


def receive(pipe: IO[bytes]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a message; EOFError when the other side is gone."""
    (length,) = LENGTH.unpack(_exactly(pipe, LENGTH.size))
    if length > MAX_HEAD_BYTES:
        raise EOFError("the other side wrote something else than messages")
    head = msgpack.unpackb(_exactly(pipe, length))
    arrays = {name: _array(pipe, dtype, shape) for name, (dtype, shape) in head.pop("arrays").items()}
    return head, arrays


def _array(pipe: IO[bytes], dtype: str, shape: list[int]) -> np.ndarray:
    array = np.empty(shape, np.dtype(dtype))
    if array.size:
        view = array.data.cast("B")
        done = 0
        while done < len(view):
            got = pipe.readinto(view[done:])  # type: ignore[attr-defined]  # IO[bytes] does not tell, pipes have it
            if not got:
                raise EOFError
            done += got
    return array


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError
    return data
