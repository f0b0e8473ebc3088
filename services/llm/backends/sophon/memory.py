"""Memory of a device through bmlib's C interface, and the structures of it and of BMRuntime.

Written from the public manuals of bmlib and BMRuntime, chapter 5.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, Structure, byref, c_bool, c_char_p, c_int, c_uint, c_ulong, c_void_p
from dataclasses import dataclass
from typing import Any

import numpy as np

from clients.errors import BackendError

MAX_DIMENSIONS = 8


class ShapeRecord(Structure):
    """bm_shape_t."""

    _fields_ = (("num_dims", c_int), ("dims", c_int * MAX_DIMENSIONS))


class MemoryRecord(Structure):
    """bm_device_mem_t on Linux."""

    _fields_ = (
        ("address", c_ulong), ("reserved", c_uint), ("file", c_int), ("flags", c_uint), ("num_bytes", c_uint),
    )  # fmt: skip


class TensorRecord(Structure):
    """bm_tensor_t."""

    _fields_ = (("dtype", c_int), ("shape", ShapeRecord), ("memory", MemoryRecord), ("store_mode", c_int))


class StageRecord(Structure):
    """bm_stage_info_t, as far as it is read."""

    _fields_ = (
        ("input_shapes", POINTER(ShapeRecord)), ("output_shapes", POINTER(ShapeRecord)),
        ("input_mems", c_void_p), ("output_mems", c_void_p),
    )  # fmt: skip


class NetRecord(Structure):
    """bm_net_info_t, as far as it is read."""

    _fields_ = (
        ("name", c_char_p), ("is_dynamic", c_bool),
        ("input_num", c_int), ("input_names", POINTER(c_char_p)), ("input_dtypes", POINTER(c_int)),
        ("input_scales", c_void_p),
        ("output_num", c_int), ("output_names", POINTER(c_char_p)), ("output_dtypes", POINTER(c_int)),
        ("output_scales", c_void_p),
        ("stage_num", c_int), ("stages", POINTER(StageRecord)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Block:
    """Bytes on a device.

    Attributes:
        library: bmlib.
        handle: of the device.
        record: where they are, and how many.
    """

    library: Any
    handle: c_void_p
    record: MemoryRecord

    def write(self, values: np.ndarray) -> None:
        """From the host; BackendError where that fails."""
        whole = np.ascontiguousarray(values)
        if self.library.bm_memcpy_s2d(self.handle, self.record, c_void_p(whole.ctypes.data)):
            raise BackendError("the device took no data", help="ragq doctor sophon")

    def read(self, shape: Sequence[int], dtype: np.dtype[Any]) -> np.ndarray:
        """To the host; BackendError where that fails."""
        values = np.empty(shape, dtype)
        if self.library.bm_memcpy_d2s(self.handle, c_void_p(values.ctypes.data), self.record):
            raise BackendError("the device gave no data", help="ragq doctor sophon")
        return values

    def part(self, first: int, num_bytes: int) -> Block:
        """Some of the bytes, from ``first`` on; they are the block's own."""
        record = MemoryRecord.from_buffer_copy(self.record)
        record.address, record.num_bytes = self.record.address + first, num_bytes
        return Block(self.library, self.handle, record)


def allocated(library: Any, handle: c_void_p, num_bytes: int) -> Block:
    """So many bytes on a device, zeros at first.

    Raises:
        BackendError: the device has no room.
    """
    record = MemoryRecord()
    if library.bm_malloc_device_byte(handle, byref(record), c_uint(num_bytes)):
        raise BackendError(
            f"the device has no {num_bytes} bytes left", help="fewer answers at a time, or a shorter net; bm-smi"
        )
    block = Block(library, handle, record)
    block.write(np.zeros(num_bytes, np.uint8))
    return block


def prototype(library: Any) -> None:
    """Tell ctypes how bmlib takes a block: by value."""
    library.bm_memcpy_s2d.argtypes = (c_void_p, MemoryRecord, c_void_p)
    library.bm_memcpy_d2s.argtypes = (c_void_p, c_void_p, MemoryRecord)


def tensor(dtype: int, shape: Sequence[int], memory: MemoryRecord) -> TensorRecord:
    """A tensor that lies there; ``dtype`` is a number of bm_data_type_e."""
    dims = (c_int * MAX_DIMENSIONS)(*shape)
    return TensorRecord(dtype, ShapeRecord(len(shape), dims), memory, 0)


def pointer(records: Sequence[TensorRecord]) -> ctypes.Array[TensorRecord]:
    """Tensors, one after the other."""
    return (TensorRecord * len(records))(*records)
