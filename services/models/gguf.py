"""What does a GGUF file hold, and how does it become one that OpenVINO GenAI reads.

The runtime takes the tensor types in ``READABLE``. Small models in a Q4_K_M mix fall back to Q5_0
where a row is no multiple of 256; those blocks are repacked as Q8_0, which holds the same numbers
exactly: the scale stays, the five-bit integers become eight-bit ones. Layout: the GGUF
specification, version 3.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from clients.errors import BadRequest

MAGIC = b"GGUF"
STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
TYPE_NAMES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 10: "Q2_K", 11: "Q3_K",
    12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 30: "BF16",
}  # fmt: skip
READABLE = frozenset({"F32", "F16", "Q4_0", "Q4_1", "Q8_0", "Q4_K", "Q6_K"})
Q5_0 = np.dtype([("scale", "<f2"), ("high", "<u4"), ("low", "u1", (16,))])
Q8_0 = np.dtype([("scale", "<f2"), ("values", "i1", (32,))])
Q8_0_TYPE = 8
ALIGNMENT = 32


@dataclass(frozen=True, slots=True)
class Tensor:
    """An entry of the directory; ``start`` and ``end`` count from the beginning of the data."""

    name: str
    shape: tuple[int, ...]
    type: int
    start: int
    end: int

    @property
    def type_name(self) -> str:
        """The type as people write it."""
        return TYPE_NAMES.get(self.type, f"type {self.type}")

    @property
    def num_blocks(self) -> int:
        """Blocks of 32 weights."""
        return prod(self.shape) // 32


@dataclass(frozen=True, slots=True)
class Header:
    """Everything before the data.

    Attributes:
        settings: single values by key; lists, such as the vocabulary, are left out.
        raw_settings: all of them as they stand in the file.
        data_start: offset of the data in the file.
    """

    version: int
    settings: dict[str, object]
    raw_settings: bytes
    num_settings: int
    tensors: tuple[Tensor, ...]
    data_start: int

    @property
    def context_tokens(self) -> int:
        """The model's context length; 0 if the file does not say."""
        return self._number("context_length")

    @property
    def cache_bytes(self) -> int:
        """Keys and values of one token over all layers, a byte a number as OpenVINO keeps them; 0 if unknown."""
        heads = self._number("attention.head_count")
        width = self._number("attention.key_length") or self._number("embedding_length") // max(1, heads)
        return 2 * self._number("block_count") * (self._number("attention.head_count_kv") or heads) * width

    @property
    def licence(self) -> str:
        """As the file states it; may be empty."""
        return str(self.settings.get("general.license", ""))

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Types of tensors that the runtime does not read, sorted."""
        return tuple(sorted({tensor.type_name for tensor in self.tensors} - READABLE))

    def _number(self, key: str) -> int:
        value = self.settings.get(f"{self.settings.get('general.architecture')}.{key}", 0)
        return value if isinstance(value, int) else 0


class _Cursor:
    def __init__(self, raw: mmap.mmap) -> None:
        self.raw, self.at = raw, 0

    def take(self, layout: str) -> Any:
        (value,) = struct.unpack_from(f"<{layout}", self.raw, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return value

    def text(self) -> str:
        length = self.take("Q")
        if length > len(self.raw) - self.at:
            raise ValueError("a text is longer than the file")
        self.at += length
        return self.raw[self.at - length : self.at].decode("utf-8", "replace")

    def value(self, kind: int) -> object:
        """A single value; None for a list, which is skipped."""
        if kind == STRING:
            return self.text()
        if kind != ARRAY:
            return self.take(SCALARS[kind])
        item, count = self.take("I"), self.take("Q")
        if item == STRING:
            for _ in range(count):
                self.text()
        else:
            self.skip(count * struct.calcsize(f"<{SCALARS[item]}"))
        return None

    def skip(self, num_bytes: int) -> None:
        if num_bytes > len(self.raw) - self.at:
            raise ValueError("a list is longer than the file")
        self.at += num_bytes


def read_header(path: Path) -> Header:
    """Read what stands before the tensors.

    Raises:
        BadRequest: the file is cut off, or is something else.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            return _header(_Cursor(raw))
    except (struct.error, ValueError, KeyError, OSError) as error:
        raise BadRequest(
            f"{path} is not a whole GGUF file: {error}", help="chat models are added as .gguf files"
        ) from error


def check_readable(path: Path, header: Header) -> None:
    """BadRequest for tensor types that can be neither read nor repacked exactly; names them."""
    if others := [name for name in header.unreadable if name != "Q5_0"]:
        raise BadRequest(
            f"{path.name} has tensors of type {', '.join(others)}, which OpenVINO does not read",
            help="take a Q4_0, Q4_1, Q8_0 or F16 file of the same model",
        )


def repack(path: Path, target: Path) -> None:
    """Copy a file with its Q5_0 tensors as Q8_0.

    Raises:
        BadRequest: it has types that cannot be repacked exactly; names them.
    """
    header = read_header(path)
    check_readable(path, header)
    data = np.memmap(path, dtype=np.uint8, mode="r", offset=header.data_start)
    with target.open("wb") as file:
        _write_head(file, header, _placed(header.tensors))
        for tensor in header.tensors:
            raw = data[tensor.start : tensor.end]
            file.write(_as_q8_0(raw, tensor.num_blocks) if tensor.type_name == "Q5_0" else raw.tobytes())
            file.write(bytes(-file.tell() % ALIGNMENT))


def _header(cursor: _Cursor) -> Header:
    if cursor.raw[:4] != MAGIC:
        raise ValueError(f"it begins with {cursor.raw[:4]!r}")
    cursor.at = 4
    version, num_tensors, num_settings = cursor.take("I"), cursor.take("Q"), cursor.take("Q")
    if version not in (2, 3):
        raise ValueError(f"version {version} is not known")
    begin = cursor.at
    settings = {}
    for _ in range(num_settings):
        key = cursor.text()
        if (value := cursor.value(cursor.take("I"))) is not None:
            settings[key] = value
    raw_settings = cursor.raw[begin : cursor.at]
    if settings.get("general.alignment", ALIGNMENT) != ALIGNMENT:
        raise ValueError("its alignment is not 32")
    entries = [_entry(cursor) for _ in range(num_tensors)]
    data_start = cursor.at + -cursor.at % ALIGNMENT
    tensors = tuple(_ended(entries, len(cursor.raw) - data_start))
    return Header(version, settings, raw_settings, num_settings, tensors, data_start)


def _entry(cursor: _Cursor) -> Tensor:
    name = cursor.text()
    shape = tuple(cursor.take("Q") for _ in range(cursor.take("I")))
    return Tensor(name, shape, cursor.take("I"), cursor.take("Q"), 0)


def _ended(entries: list[Tensor], num_bytes: int) -> Iterator[Tensor]:
    """The entries, each ending where the next one in the file begins."""
    starts = sorted({tensor.start for tensor in entries} | {num_bytes})
    if starts[-1] != num_bytes:
        raise ValueError("a tensor begins behind the end")
    following = dict(pairwise(starts))
    return (replace(tensor, end=following[tensor.start]) for tensor in entries)


def _placed(tensors: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, int, int]]:
    """Each tensor with its new type and place."""
    place = 0
    for tensor in tensors:
        is_packed = tensor.type_name == "Q5_0"
        yield tensor, Q8_0_TYPE if is_packed else tensor.type, place
        place += tensor.num_blocks * Q8_0.itemsize if is_packed else tensor.end - tensor.start
        place += -place % ALIGNMENT


def _write_head(file: IO[bytes], header: Header, placed: Iterator[tuple[Tensor, int, int]]) -> None:
    file.write(MAGIC + struct.pack("<IQQ", header.version, len(header.tensors), header.num_settings))
    file.write(header.raw_settings)
    for tensor, kind, place in placed:
        name = tensor.name.encode()
        file.write(struct.pack("<Q", len(name)) + name + struct.pack("<I", len(tensor.shape)))
        file.write(struct.pack(f"<{len(tensor.shape)}QIQ", *tensor.shape, kind, place))
    file.write(bytes(-file.tell() % ALIGNMENT))


def _as_q8_0(raw: np.ndarray, num_blocks: int) -> bytes:
    blocks = raw[: num_blocks * Q5_0.itemsize].view(Q5_0)
    packed = np.empty(len(blocks), Q8_0)
    low = np.concatenate([blocks["low"] & 15, blocks["low"] >> 4], axis=1)
    high = (blocks["high"][:, None] >> np.arange(32, dtype=np.uint32) & 1).astype(np.uint8)
    packed["scale"] = blocks["scale"]
    packed["values"] = (low | high << 4).astype(np.int8) - 16
    return packed.tobytes()
