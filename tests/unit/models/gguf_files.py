"""Small GGUF files, written by the specification."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

TYPES = {"F32": 0, "Q4_0": 2, "Q5_0": 6, "Q8_0": 8, "Q2_K": 10, "Q4_1": 3, "Q5_1": 7, "Q4_K": 12, "Q5_K": 13}


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def gguf_file(
    path: Path,
    tensors: dict[str, tuple[str, np.ndarray]],
    splitting: str = "qwen2",
    blocks: Mapping[str, bytes] = MappingProxyType({}),
) -> None:
    """Write tensors of whole numbers [rows, 32n] or [32n]; the scale of every block is 0.25.

    Args:
        splitting: the rule by which the model's text is split.
        blocks: the bytes of tensors that are encoded already.
    """
    settings = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("general.license") + struct.pack("<I", 8) + text("mit"),
        text("llama.context_length") + struct.pack("<II", 4, 2048),
        text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("字"),
        text("tokenizer.ggml.scores") + struct.pack("<IIQ", 9, 6, 2) + struct.pack("<2f", 1.0, 2.0),
        text("tokenizer.ggml.model") + struct.pack("<I", 8) + text("gpt2"),
        text("tokenizer.ggml.pre") + struct.pack("<I", 8) + text(splitting),
        text("general.flag") + struct.pack("<IB", 7, 1),
    ]
    directory, data = b"", b""
    for name, (kind, values) in tensors.items():
        directory += (
            text(name)
            + struct.pack("<I", values.ndim)
            + struct.pack(f"<{values.ndim}QIQ", *values.shape[::-1], TYPES[kind], len(data))
        )
        data += blocks.get(name) or encode(kind, values)
        data += bytes(-len(data) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(settings)) + b"".join(settings) + directory
    path.write_bytes(head + bytes(-len(head) % 32) + data)


def encode(kind: str, values: np.ndarray) -> bytes:
    if kind == "F32":
        return values.astype("<f4").tobytes()
    blocks = values.reshape(-1, 32).astype(np.int64)
    scale = struct.pack("<e", 0.25)
    if kind == "Q5_0":
        raised = blocks + 16
        low = (raised & 15).astype(np.uint8)
        packed = low[:, :16] | low[:, 16:] << 4
        high = ((raised >> 4) << np.arange(32)).sum(axis=1)
        return b"".join(scale + struct.pack("<I", int(h)) + p.tobytes() for h, p in zip(high, packed, strict=True))
    if kind == "Q8_0":
        return b"".join(scale + block.astype(np.int8).tobytes() for block in blocks)
    return b"".join(scale + bytes(16) for _ in blocks)
