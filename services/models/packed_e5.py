"""How does the 4-bit file of multilingual-e5-small become ordinary tensors and a tokenizer.

Layout, little endian: magic ``E5S1``, version, seven sizes (hidden, layers, heads, feed-forward,
vocabulary, positions, token types), epsilon, block size; the Unigram pieces (count, ids of
begin, end, padding and unknown, length of the text, offsets, scores, text); a map of single
characters, which NFKC and the rules in ``sentencepiece`` reproduce; a directory of tensors. Linear
weights and word embeddings are blocks of 32 weights: an fp16 scale and 16 bytes of nibbles, the
low ones first, each minus 8; everything else is fp32.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from clients.errors import BadRequest

from .sentencepiece import tokenizer_spec

BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", (16,))])
TOP_NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """The numbers at the head of the file."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    token_types: int
    epsilon: float
    block: int

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, in the names of the result."""
        if name.endswith(".bias") or "LayerNorm" in name:
            return (-1,)
        return (-1, self.feed_forward if "output.dense" in name and "attention" not in name else self.hidden)


class _Cursor:
    def __init__(self, raw: memoryview) -> None:
        self.raw, self.at = raw, 0

    def take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(layout, self.raw, self.at)
        self.at += struct.calcsize(layout)
        return values

    def bytes(self, count: int) -> memoryview:
        self.at += count
        return self.raw[self.at - count : self.at]


def convert(packed: Path, target: Path) -> None:
    """Write ``model.safetensors``, ``tokenizer.json`` and ``config.json`` below ``target``.

    Raises:
        BadRequest: the file is cut off or is something else.
    """
    from safetensors.numpy import save_file

    try:
        cursor = _Cursor(memoryview(packed.read_bytes()))
        sizes = _sizes(cursor)
        tokenizer = _tokenizer(cursor)
        tensors = dict(_tensors(cursor, sizes))
    except (struct.error, ValueError, IndexError, UnicodeDecodeError) as error:
        raise BadRequest(f"{packed.name} is not a whole E5S1 file: {error}") from error
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    (target / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    (target / "config.json").write_text(json.dumps(_config(sizes), indent=1), encoding="utf-8")


def _sizes(cursor: _Cursor) -> Sizes:
    magic = bytes(cursor.bytes(4))
    version, *numbers = cursor.take("<I7ifi")
    if magic != b"E5S1" or version != 1:
        raise BadRequest(f"not an E5S1 file of version 1: it begins with {magic!r}, version {version}")
    sizes = Sizes(*numbers)
    if sizes.block != 32:
        raise BadRequest(f"blocks of {sizes.block} weights; only 32 is known")
    return sizes


def _tokenizer(cursor: _Cursor) -> dict[str, object]:
    count, _begin, _end, _padding, unknown, length = cursor.take("<5iQ")
    offsets = np.frombuffer(cursor.bytes(4 * (count + 1)), "<u4").tolist()
    scores = np.frombuffer(cursor.bytes(4 * count), "<f4").tolist()
    text = bytes(cursor.bytes(length))
    cursor.bytes(cursor.take("<iI")[1])
    pieces = [text[a:b].decode() for a, b in pairwise(offsets)]
    return tokenizer_spec(pieces, scores, unknown)


def _tensors(cursor: _Cursor, sizes: Sizes) -> Iterator[tuple[str, np.ndarray]]:
    (count,) = cursor.take("<i")
    for _ in range(count):
        (length,) = cursor.take("<H")
        name = _name(bytes(cursor.bytes(length)).decode())
        is_packed, num_values, start, num_bytes = cursor.take("<BIQQ")
        raw = cursor.raw[start : start + num_bytes]
        values = _unpack(raw) if is_packed else np.frombuffer(raw, "<f4")
        if values.size != num_values:
            raise BadRequest(f"the tensor {name} has {values.size} of {num_values} values")
        yield name, values.reshape(sizes.shape(name))


def _name(short: str) -> str:
    if short in TOP_NAMES:
        return TOP_NAMES[short]
    layer, part, kind = short.split(".")
    return f"encoder.layer.{layer[1:]}.{LAYER_NAMES[part]}.{'weight' if kind == 'w' else 'bias'}"


def _unpack(raw: memoryview) -> np.ndarray:
    """fp16 weights of packed blocks, flat."""
    blocks = np.frombuffer(raw, BLOCK)
    nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1).astype(np.int8) - 8
    values: np.ndarray = nibbles * blocks["scale"][:, None]
    return values.reshape(-1)


def _config(sizes: Sizes) -> dict[str, object]:
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": sizes.hidden,
        "intermediate_size": sizes.feed_forward,
        "layer_norm_eps": round(sizes.epsilon, 18),
        "max_position_embeddings": sizes.positions,
        "num_attention_heads": sizes.heads,
        "num_hidden_layers": sizes.layers,
        "pad_token_id": 1,
        "type_vocab_size": sizes.token_types,
        "vocab_size": sizes.vocabulary,
    }
