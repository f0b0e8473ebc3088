"""Tensors are read from a safetensors file as they were written, and a broken file is named."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from clients.errors import BadRequest
from services.models.checkpoint import Checkpoint

from .checkpoints import shard


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.int16, np.int8, np.uint8, np.bool_])
def test_values_and_dtype_survive(tmp_path, dtype):
    values = np.arange(12).reshape(3, 4).astype(dtype)
    save_file({"a": values, "b": values[:1]}, tmp_path / "m.safetensors")
    checkpoint = Checkpoint(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(checkpoint.tensor("a"), values)
    assert checkpoint.tensor("a").dtype == dtype
    assert checkpoint.float32("b").dtype == np.float32
    assert "a" in checkpoint
    assert "c" not in checkpoint


def test_bf16_is_read_as_float32(tmp_path):
    raw = (np.array([1.5, -2.0, 0.0], np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
    header = json.dumps({"a": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}).encode()
    (tmp_path / "m.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + raw)
    np.testing.assert_array_equal(Checkpoint(tmp_path / "m.safetensors").tensor("a"), [1.5, -2.0, 0.0])


def test_bf16_bits_and_rows_are_read_without_the_rest(tmp_path):
    values = np.array([[1.5, -2.0], [3.0, 0.25]], np.float32)
    bits = (values.view(np.uint32) >> 16).astype("<u2")
    header = json.dumps({"t": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}}).encode()
    (tmp_path / "m.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bits.tobytes())
    checkpoint = Checkpoint(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(checkpoint.bits("t"), bits)
    np.testing.assert_array_equal(checkpoint.rows("t", [1, 0, 1]), values[[1, 0, 1]])
    assert checkpoint.rows("t", [1]).dtype == np.float32


@pytest.mark.parametrize(
    ("prefix", "anchor"),
    [(p, "embeddings.word_embeddings.weight") for p in ("", "bert.", "roberta.", "distilbert.")]
    + [(p, "embed_tokens.weight") for p in ("", "model.")],
)
def test_the_prefix_of_a_body_is_left_out_and_its_head_keeps_its_name(tmp_path, prefix, anchor):
    tensors = {prefix + anchor: np.ones((2, 2), np.float32), "classifier.weight": np.zeros((1, 2), np.float32)}
    save_file(tensors, tmp_path / "m.safetensors")
    checkpoint = Checkpoint(tmp_path / "m.safetensors")
    assert anchor in checkpoint
    assert checkpoint.entry("classifier.weight").shape == (1, 2)
    assert set(checkpoint.entries) == set(tensors)


def test_a_model_in_shards_reads_like_one_in_a_single_file(tmp_path):
    first, second = np.arange(6, dtype=np.float16).reshape(2, 3), np.ones(5, np.int8)
    checkpoint = Checkpoint(shard(tmp_path, {"model.embed_tokens.weight": first}, {"model.norm.weight": second}))
    np.testing.assert_array_equal(checkpoint.tensor("embed_tokens.weight"), first)
    np.testing.assert_array_equal(checkpoint.tensor("norm.weight"), second)


def test_a_missing_shard_is_named(tmp_path):
    index = shard(tmp_path, {"a": np.ones(1, np.float32)}, {"b": np.ones(1, np.float32)})
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(BadRequest, match="lacks model-00002-of-00002") as failure:
        Checkpoint(index)
    assert "ragq models" in failure.value.help


def test_a_shard_without_what_the_index_promises_is_named(tmp_path):
    index = shard(tmp_path, {"a": np.ones(1, np.float32)}, {"b": np.ones(1, np.float32)})
    save_file({"c": np.ones(1, np.float32)}, tmp_path / "model-00001-of-00002.safetensors")
    with pytest.raises(BadRequest, match=r"00001-of-00002\.safetensors lacks the tensor 'a'"):
        Checkpoint(index)


@pytest.mark.parametrize("text", ["{", "[]", '{"weight_map": 3}', '{"weight_map": {"a": "../secret.safetensors"}}'])
def test_an_index_that_is_none_or_points_elsewhere_is_refused(tmp_path, text):
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(BadRequest, match="index"):
        Checkpoint(tmp_path / "model.safetensors.index.json")


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]},
        {"dtype": "F32", "shape": [2]},
        {"dtype": "F32", "shape": "2", "data_offsets": [0, 8]},
        3,
    ],
)
def test_a_header_that_contradicts_itself_is_refused(tmp_path, entry):
    header = json.dumps({"a": entry}).encode()
    (tmp_path / "m.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    with pytest.raises(BadRequest, match=r"m\.safetensors is not a whole safetensors file"):
        Checkpoint(tmp_path / "m.safetensors")


def test_a_dtype_that_is_not_read_is_named_when_it_is_asked_for(tmp_path):
    header = json.dumps({"a": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}}).encode()
    (tmp_path / "m.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    with pytest.raises(BadRequest, match="F8_E4M3"):
        Checkpoint(tmp_path / "m.safetensors").tensor("a")


def test_a_missing_tensor_is_named(tmp_path):
    save_file({"a": np.ones(1, np.float32)}, tmp_path / "m.safetensors")
    with pytest.raises(BadRequest, match="lacks the tensor 'b'"):
        Checkpoint(tmp_path / "m.safetensors").tensor("b")


@pytest.mark.parametrize(
    "content",
    [b"", b"short", struct.pack("<Q", 1 << 40) + b"{}", struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 4) + b"nope"],
)
def test_what_is_no_safetensors_file_is_refused(tmp_path, content):
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(BadRequest, match=r"m\.safetensors"):
        Checkpoint(tmp_path / "m.safetensors")


def test_a_tensor_behind_the_end_of_the_file_is_refused(tmp_path):
    save_file({"a": np.ones(100, np.float32)}, tmp_path / "m.safetensors")
    whole = (tmp_path / "m.safetensors").read_bytes()
    (tmp_path / "m.safetensors").write_bytes(whole[:-8])
    with pytest.raises(BadRequest, match="cut off"):
        Checkpoint(tmp_path / "m.safetensors")
