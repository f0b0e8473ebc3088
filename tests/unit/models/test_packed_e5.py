"""A file in the packed format becomes tensors and a tokenizer, or an error that says what is wrong."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from clients.errors import BadRequest
from services.models.checkpoint import Checkpoint
from services.models.packed_e5 import convert

HIDDEN, INNER, LAYERS = 32, 64, 1
PIECES = [
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    "▁",
    "▁query",
    ":",
    "▁red",
    "▁r",
    "ed",
    "红",
    "色",
    "～",
    "a",
    "▁ab",
    "<mask>",
]
SCORES = [0.0, 0.0, 0.0, 0.0, -3.0, -4.0, -3.5, -5.0, -6.0, -6.0, -7.0, -7.0, -8.0, -9.0, -5.5, 0.0]


def blocks(values: np.ndarray) -> bytes:
    """Whole numbers -8 to 7 times a scale of one half, packed by 32."""
    packed = b""
    for block in values.reshape(-1, 32):
        nibbles = (block + 8).astype(np.uint8)
        packed += struct.pack("<e", 0.5) + (nibbles[:16] | nibbles[16:] << 4).tobytes()
    return packed


def tensors(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The tensors of one layer: two-dimensional ones are packed."""
    wide = {"l0.fi": (INNER, HIDDEN), "l0.fo": (HIDDEN, INNER)}
    found = {"emb.word": rng.integers(-8, 8, (len(PIECES), HIDDEN)).astype(np.float32)}
    found["emb.pos"] = rng.standard_normal((8, HIDDEN)).astype(np.float32)
    found["emb.type"] = rng.standard_normal((2, HIDDEN)).astype(np.float32)
    for part in ("l0.q", "l0.k", "l0.v", "l0.ao", "l0.fi", "l0.fo"):
        shape = wide.get(part, (HIDDEN, HIDDEN))
        found[f"{part}.w"] = rng.integers(-8, 8, shape).astype(np.float32)
        found[f"{part}.b"] = rng.standard_normal(shape[0]).astype(np.float32)
    for part in ("emb.ln", "l0.aln", "l0.oln"):
        found[f"{part}.w"] = rng.standard_normal(HIDDEN).astype(np.float32)
        found[f"{part}.b"] = rng.standard_normal(HIDDEN).astype(np.float32)
    return found


def is_packed(name: str) -> bool:
    return name == "emb.word" or (name.startswith("l0") and name.endswith(".w") and "ln" not in name)


def packed_file(values: dict[str, np.ndarray]) -> bytes:
    text = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, text)]).astype("<u4")
    head = struct.pack("<4sI7ifi", b"E5S1", 1, HIDDEN, LAYERS, 2, INNER, len(PIECES), 8, 2, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, int(offsets[-1]))
    head += offsets.tobytes() + np.array(SCORES, "<f4").tobytes() + b"".join(text)
    head += struct.pack("<iI", 1, 9) + struct.pack("<IBI", 0xFF21, 1, 0x41)
    data = {name: blocks(value) if is_packed(name) else value.tobytes() for name, value in values.items()}
    start = len(head) + 4 + sum(2 + len(name) + 21 for name in data)
    directory = struct.pack("<i", len(data))
    for name, raw in data.items():
        entry = struct.pack("<BIQQ", is_packed(name), values[name].size, start, len(raw))
        directory += struct.pack("<H", len(name)) + name.encode() + entry
        start += len(raw)
    return head + directory + b"".join(data.values())


@pytest.fixture
def converted(tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    values = tensors(np.random.default_rng(0))
    (tmp_path / "small.bin").write_bytes(packed_file(values))
    convert(tmp_path / "small.bin", tmp_path)
    return tmp_path, values


def test_every_tensor_comes_out_with_its_values_shape_and_usual_name(converted):
    directory, values = converted
    checkpoint = Checkpoint(directory / "model.safetensors")
    expected = {
        "embeddings.word_embeddings.weight": values["emb.word"] / 2,
        "embeddings.position_embeddings.weight": values["emb.pos"],
        "encoder.layer.0.attention.self.query.weight": values["l0.q.w"] / 2,
        "encoder.layer.0.attention.output.dense.bias": values["l0.ao.b"],
        "encoder.layer.0.intermediate.dense.weight": values["l0.fi.w"] / 2,
        "encoder.layer.0.output.dense.weight": values["l0.fo.w"] / 2,
        "encoder.layer.0.output.LayerNorm.weight": values["l0.oln.w"],
    }
    for name, value in expected.items():
        np.testing.assert_array_equal(checkpoint.float32(name), value, err_msg=name)
    assert checkpoint.tensor("embeddings.word_embeddings.weight").dtype == np.float16


def test_the_config_describes_a_bert_of_the_right_size(converted):
    config = json.loads((converted[0] / "config.json").read_text())
    assert (config["model_type"], config["hidden_size"], config["num_hidden_layers"]) == ("bert", HIDDEN, LAYERS)
    assert config["layer_norm_eps"] == pytest.approx(1e-12)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("query: red", ["<s>", "▁query", ":", "▁red", "</s>"]),
        ("query:\t\n  red", ["<s>", "▁query", ":", "▁red", "</s>"]),
        ("ｒｅｄ", ["<s>", "▁red", "</s>"]),
        ("红～色", ["<s>", "▁", "红", "～", "色", "</s>"]),
        ("red\x01\u200bred", ["<s>", "▁red", "▁red", "</s>"]),
        ("红zz", ["<s>", "▁", "红", "zz", "</s>"]),
    ],
)
def test_the_tokenizer_splits_as_sentencepiece_does(converted, text, pieces):
    tokenizer = Tokenizer.from_file(str(converted[0] / "tokenizer.json"))
    assert tokenizer.encode(text).tokens == pieces


@pytest.mark.parametrize("keep", [3, 20, 60, 300, 2000])
def test_a_file_that_is_cut_off_is_refused(tmp_path, keep):
    whole = packed_file(tensors(np.random.default_rng(0)))
    (tmp_path / "cut.bin").write_bytes(whole[:keep])
    with pytest.raises(BadRequest, match=r"cut\.bin|E5S1"):
        convert(tmp_path / "cut.bin", tmp_path)


def test_another_kind_of_file_is_refused(tmp_path):
    (tmp_path / "other.bin").write_bytes(b"GGUF" + bytes(200))
    with pytest.raises(BadRequest, match="GGUF"):
        convert(tmp_path / "other.bin", tmp_path)
