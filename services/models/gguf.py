"""What does a GGUF file hold, and which of that does OpenVINO GenAI read. Layout: the GGUF specification, version 3."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from clients.errors import BadRequest

MAGIC = b"GGUF"
STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
TYPE_NAMES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 10: "Q2_K", 11: "Q3_K",
    12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 30: "BF16",
}  # fmt: skip
# What GenAI 2026.4 reads rightly: logits compared for each with those of the same numbers in F16.
READ = frozenset({"F16", "Q4_0", "Q8_0", "Q6_K"})
REPACKED = frozenset({"Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K"})
# The rules of splitting text that it knows; for all others it takes one that fits none of them.
SPLITTINGS = ("qwen2", "smollm")
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

    @property
    def is_read(self) -> bool:
        """Whether the runtime reads it, and rightly; of float32 it reads vectors only."""
        return self.type_name in READ or (self.type_name == "F32" and len(self.shape) == 1)

    @property
    def read_bytes(self) -> int:
        """What it takes in a file that the runtime reads."""
        return self.end - self.start if self.is_read else self.num_blocks * Q8_0.itemsize


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
        """Types of tensors that the runtime does not read, or not rightly, sorted."""
        return tuple(sorted({tensor.type_name for tensor in self.tensors if not tensor.is_read}))

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
    """BadRequest for tensor types that can be neither read nor repacked; names them."""
    if others := [name for name in header.unreadable if name not in REPACKED]:
        raise BadRequest(
            f"{path.name} has tensors of type {', '.join(others)}, which OpenVINO does not read",
            help="take a Q8_0, Q4_0, Q4_K_M or F16 file of the same model",
        )


def check_splitting(path: Path, header: Header) -> None:
    """BadRequest for a tokenizer that the runtime would split text with in a way the model was not trained on."""
    kind, rule = (header.settings.get(f"tokenizer.ggml.{key}") for key in ("model", "pre"))
    if kind == "gpt2" and rule in SPLITTINGS:
        return
    raise BadRequest(
        f"{path.name} splits text by the rule '{rule or kind}'; OpenVINO GenAI knows {' and '.join(SPLITTINGS)}, "
        "so the model would read other tokens than it was trained on",
        help="serve its safetensors with backend: torch, or this file by a llama.cpp server with backend: remote; to "
        "load it all the same, give its path as llm.generate.name with llm.generate.options: {any_tokenizer: true}",
    )


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
