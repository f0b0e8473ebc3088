"""How is a GGUF file written. Layout: the GGUF specification, version 3."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .gguf import ALIGNMENT, ARRAY, MAGIC, Q8_0, Q8_0_TYPE, STRING

UINT32, INT32, FLOAT32, BOOL = 4, 5, 6, 7
F32_TYPE, F16_TYPE = 0, 1
BLOCK = 32
# Rows that are turned into another dtype at a time.
ROW_BYTES = 64 << 20

Setting = str | bool | int | float | Sequence[str] | Sequence[int]


@dataclass(frozen=True, slots=True)
class Planned:
    """A tensor that is going to be written.

    Attributes:
        values: [rows, columns] or [columns], of any float dtype; BF16 as float32.
        type: number of the GGUF type.
    """

    name: str
    shape: tuple[int, ...]
    type: int
    values: Iterable[np.ndarray]

    @property
    def num_bytes(self) -> int:
        """What it takes in the file."""
        count = int(np.prod(self.shape, dtype=np.int64))
        return {F32_TYPE: 4 * count, F16_TYPE: 2 * count, Q8_0_TYPE: count // BLOCK * Q8_0.itemsize}[self.type]


def write(path: Path, settings: Mapping[str, Setting], tensors: Sequence[Planned]) -> None:
    """Write a file; a part of a tensor at a time goes through memory."""
    with path.open("wb") as file:
        file.write(MAGIC + struct.pack("<IQQ", 3, len(tensors), len(settings)))
        for key, value in settings.items():
            file.write(_text(key) + _setting(value))
        place = 0
        for tensor in tensors:
            dims = tensor.shape[::-1]
            file.write(_text(tensor.name) + struct.pack("<I", len(dims)))
            file.write(struct.pack(f"<{len(dims)}QIQ", *dims, tensor.type, place))
            place += tensor.num_bytes + -tensor.num_bytes % ALIGNMENT
        file.write(bytes(-file.tell() % ALIGNMENT))
        for tensor in tensors:
            for part in tensor.values:
                file.write(ENCODERS[tensor.type](part))
            file.write(bytes(-file.tell() % ALIGNMENT))


def parts(values: np.ndarray) -> Iterator[np.ndarray]:
    """A tensor in runs of rows."""
    step = max(1, ROW_BYTES // (4 * max(1, values[0].size)))
    for first in range(0, len(values), step):
        yield values[first : first + step]


def quantised(values: np.ndarray) -> bytes:
    """Q8_0 blocks of float values whose last axis is a multiple of 32: an fp16 scale and 32 integers."""
    blocks = values.astype(np.float32).reshape(-1, BLOCK)
    packed = np.empty(len(blocks), Q8_0)
    scale = np.abs(blocks).max(axis=1) / np.float32(127)
    packed["scale"] = scale
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    packed["values"] = np.round(blocks * inverse[:, None])
    return packed.tobytes()


ENCODERS = {
    F32_TYPE: lambda values: values.astype("<f4").tobytes(),
    F16_TYPE: lambda values: values.astype("<f2").tobytes(),
    Q8_0_TYPE: quantised,
}


def _text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def _setting(value: Setting) -> bytes:
    match value:
        case bool():
            return struct.pack("<I?", BOOL, value)
        case int():
            return struct.pack("<II", UINT32, value)
        case float():
            return struct.pack("<If", FLOAT32, value)
        case str():
            return struct.pack("<I", STRING) + _text(value)
    if value and isinstance(value[0], str):
        return struct.pack("<IIQ", ARRAY, STRING, len(value)) + b"".join(_text(str(item)) for item in value)
    return struct.pack("<IIQ", ARRAY, INT32, len(value)) + np.asarray(value, "<i4").tobytes()
