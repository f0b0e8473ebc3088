"""Tensors are read from a safetensors file as they were written, and a broken file is named."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from clients.errors import BadRequest
from services.models.checkpoint import Checkpoint


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, np.int8])
def test_values_and_dtype_survive(tmp_path, dtype):
    values = np.arange(12, dtype=dtype).reshape(3, 4)
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


def test_the_prefix_of_a_larger_model_is_left_out(tmp_path):
    save_file({"bert.embeddings.word_embeddings.weight": np.ones((2, 2), np.float32)}, tmp_path / "m.safetensors")
    assert "embeddings.word_embeddings.weight" in Checkpoint(tmp_path / "m.safetensors")


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
        Checkpoint(tmp_path / "m.safetensors").tensor("a")
