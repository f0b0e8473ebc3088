"""The memory of a model is told from its headers."""

from __future__ import annotations

import numpy as np
import pytest

from services.models import Card, Shelf, Shelved, needs
from services.models.needs import RUNTIME_BYTES

from .checkpoints import BERT, QWEN3, checkpoint_directory
from .gguf_files import gguf_file

TABLE, MATRIX, VECTOR = np.ones((50, 64), np.float16), np.ones((16, 64), np.float16), np.ones(64, np.float16)


def shelved(tmp_path, config, tensors):
    checkpoint_directory(tmp_path / "m", config, tensors=tensors)
    return Shelf(tmp_path).locate(str(tmp_path / "m"))


@pytest.mark.parametrize(("dtype", "each"), [("auto", 4), ("fp32", 4), ("bf16", 2), ("fp16", 2), ("int8", 1)])
def test_matrices_count_in_the_dtype_vectors_in_fp32_and_tables_stay_in_the_file(tmp_path, dtype, each):
    tensors = {"embeddings.word_embeddings.weight": TABLE, "l.weight": MATRIX, "l.bias": VECTOR}
    model = shelved(tmp_path, BERT | {"hidden_size": 64, "intermediate_size": 128}, tensors)
    found = needs(model, "embed", dtype)
    scales = 16 * 4 if dtype == "int8" else 0
    assert found.weight_bytes == 16 * 64 * each + scales + 64 * 4
    assert found.mapped_bytes == TABLE.nbytes
    assert found.peak_bytes == found.resident_bytes + found.weight_bytes


def test_a_decoder_needs_more_for_each_token_that_it_remembers(tmp_path):
    model = shelved(tmp_path, QWEN3, {"embed_tokens.weight": TABLE, "l.weight": MATRIX})
    more = needs(model, "embed", tokens=1001).working_bytes - needs(model, "embed", tokens=1).working_bytes
    keys_and_values = 2 * 4 * 2 * 2 * 32  # float32, layers, heads, width
    assert more >= 1000 * keys_and_values
    assert needs(model, "embed").working_bytes > RUNTIME_BYTES


def test_writing_needs_the_table_a_second_time_when_it_is_the_head_too(tmp_path):
    model = shelved(tmp_path, QWEN3, {"model.embed_tokens.weight": TABLE, "model.l.weight": MATRIX})
    difference = needs(model, "generate", "bf16").weight_bytes - needs(model, "rerank", "bf16").weight_bytes
    assert difference == TABLE.size * 2


def test_a_gguf_file_keeps_its_own_dtype(tmp_path):
    gguf_file(tmp_path / "m.gguf", {"a": ("Q8_0", np.zeros((4, 64)))})
    model = Shelf(tmp_path).locate(str(tmp_path / "m.gguf"))
    assert needs(model, "generate", "fp32").weight_bytes == 288  # eight blocks of 34 bytes, up to the next 32


def test_a_compiled_model_has_its_weights_on_the_device(tmp_path):
    (tmp_path / "model.bmodel").write_bytes(b"x" * 1000)
    (tmp_path / "tokenizer.json").write_text("{}")
    found = needs(Shelved(Card("small", "bmodel", ("embed",), weights="model.bmodel"), tmp_path, 1000), "embed")
    assert (found.weight_bytes, found.load_bytes) == (0, 0)
    assert found.working_bytes > RUNTIME_BYTES
