"""Which tensors does one safetensors file hold, and does it hold what its header says."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from clients.errors import BadRequest

MAX_HEADER_BYTES = 64 << 20
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
AGAIN = "copy or download that file again: ragq models pull NAME, or ragq models add PATH"


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor as the header tells of it.

    Attributes:
        dtype: the format's word, such as ``BF16``.
        start, end: of its bytes in the file.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def num_values(self) -> int:
        """Numbers in it."""
        return prod(self.shape)


class TensorFile:
    """A safetensors file, mapped into memory.

    Raises:
        BadRequest: the file is cut off, is in another format, or its header contradicts itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._raw = np.memmap(path, dtype=np.uint8, mode="c")
            self.entries = _entries(self._raw)
        except OSError as error:
            raise BadRequest(f"{path} cannot be read: {error.strerror}", help=AGAIN) from error
        except (struct.error, ValueError, RecursionError) as error:
            raise BadRequest(f"{path} is not a whole safetensors file: {error}", help=AGAIN) from error

    def view(self, name: str) -> np.ndarray:
        """The tensor as it lies in the file; BF16 as uint16.

        Raises:
            BadRequest: its dtype is not one that numbers can be read from.
        """
        entry = self.entries[name]
        if entry.dtype not in DTYPES:
            raise BadRequest(
                f"{self.path}: the tensor '{name}' has the dtype {entry.dtype}, which is not read",
                help="take the model's fp32, fp16 or bf16 weights",
            )
        return self._raw[entry.start : entry.end].view(DTYPES[entry.dtype]).reshape(entry.shape)


def _entries(raw: np.ndarray) -> dict[str, Entry]:
    (length,) = struct.unpack("<Q", raw[:8].tobytes())
    if length > min(MAX_HEADER_BYTES, len(raw) - 8):
        raise ValueError("its header is longer than the file")
    header = json.loads(raw[8 : 8 + length].tobytes())
    if not isinstance(header, dict):
        raise ValueError("its header is no map")
    return {name: _entry(name, value, 8 + length, len(raw)) for name, value in header.items() if name != "__metadata__"}


def _entry(name: str, value: object, data_start: int, num_bytes: int) -> Entry:
    match value:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(first), int(last)]}:
            pass
        case _:
            raise ValueError(f"the header does not say where the tensor '{name}' is")
    if not all(isinstance(size, int) and size >= 0 for size in shape) or not 0 <= first <= last:
        raise ValueError(f"the header gives the tensor '{name}' an impossible shape or place")
    if data_start + last > num_bytes:
        raise ValueError(
            f"it is cut off: the tensor '{name}' ends at byte {data_start + last} and the file at {num_bytes}"
        )
    entry = Entry(dtype, tuple(shape), data_start + first, data_start + last)
    if dtype in DTYPES and entry.num_values * np.dtype(DTYPES[dtype]).itemsize != last - first:
        raise ValueError(f"the tensor '{name}' of {dtype} {shape} cannot have {last - first} bytes")
    return entry
