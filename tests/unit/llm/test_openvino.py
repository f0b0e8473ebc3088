"""The OpenVINO encoder computes what the formulas say, for every kind of checkpoint it takes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from clients.errors import BadRequest
from services.llm.backends.openvino.embedder import OpenVINOEmbedder
from services.models import Shelf

from .small_encoder import HIDDEN, POSITIONS, WORDS, forward, unit, write

pytestmark = pytest.mark.process

TEXTS = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9 w10 w11 w1 w2", "w20 w21 w22 w1"]


def ids_of(text: str) -> list[int]:
    return [2, *[WORDS.index(word) for word in text.split()], 3]


def load(directory, **options):
    return OpenVINOEmbedder(Shelf(directory.parent / "home").locate(str(directory)), **({"dtype": "fp32"} | options))


@pytest.mark.parametrize(
    ("model_type", "offset", "activation", "pooling"),
    [
        ("bert", 0, "gelu", "mean"),
        ("bert", 0, "gelu_new", "cls"),
        ("bert", 0, "relu", "mean"),
        ("xlm-roberta", 2, "gelu", "mean"),
    ],
)
def test_vectors_equal_the_formulas_whatever_they_are_batched_with(tmp_path, model_type, offset, activation, pooling):
    tensors = write(tmp_path / "m", model_type=model_type, activation=activation, pooling=pooling)
    embedder = load(tmp_path / "m")
    vectors = embedder.run(embedder.prepare(TEXTS, "document"))
    tokens = embedder.run(embedder.prepare(TEXTS, "document", wants_tokens=True))
    for text, vector, matrix in zip(TEXTS, vectors, tokens, strict=True):
        expected = forward(tensors, ids_of(text), offset=offset, activation=activation)
        pooled = expected[0] if pooling == "cls" else expected.mean(axis=0)
        np.testing.assert_allclose(vector, unit(pooled), atol=2e-6)
        np.testing.assert_allclose(matrix, unit(expected), atol=2e-6)
        assert vector.dtype == np.float32


@pytest.mark.parametrize(("dtype", "least"), [("bf16", 0.999), ("int8", 0.99)])
def test_coarser_numbers_point_the_same_way(tmp_path, dtype, least):
    tensors = write(tmp_path / "m")
    embedder = load(tmp_path / "m", dtype=dtype)
    vectors = embedder.run(embedder.prepare(TEXTS, "document"))
    exact = [unit(forward(tensors, ids_of(text)).mean(axis=0)) for text in TEXTS]
    assert min(float(a @ b) for a, b in zip(vectors, exact, strict=True)) > least


def test_half_precision_weights_and_the_prefix_of_a_larger_model_are_read(tmp_path):
    tensors = write(tmp_path / "m")
    save_file(
        {f"bert.{name}": value.astype(np.float16) for name, value in tensors.items()},
        tmp_path / "m" / "model.safetensors",
    )
    embedder = load(tmp_path / "m")
    (vector,) = embedder.run(embedder.prepare(["w1 w2"], "document"))
    assert float(vector @ unit(forward(tensors, ids_of("w1 w2")).mean(axis=0))) > 0.99999


def test_a_text_is_cut_at_the_limit_and_keeps_its_last_special_token(tmp_path):
    write(tmp_path / "m")
    embedder = load(tmp_path / "m", max_tokens=5)
    (text,) = embedder.prepare(["w1 w2 w3 w4 w5 w6 w7"], "document")
    assert text.ids.tolist() == [2, 5, 6, 7, 3]
    (long,) = load(tmp_path / "m").prepare(["w1 " * 500], "document")
    assert long.num_tokens == POSITIONS


def test_roles_take_their_prefix_and_its_tokens_are_not_the_texts_own(tmp_path):
    write(tmp_path / "m")
    prompts = {"prompts": {"query": "w1 w2 ", "document": ""}}
    (tmp_path / "m" / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    embedder = load(tmp_path / "m")
    (query,), (document,) = embedder.prepare(["w7"], "query"), embedder.prepare(["w7"], "document")
    assert query.ids.tolist() == [2, 5, 6, 11, 3]
    assert query.ids[query.first : query.last].tolist() == [11]
    assert document.ids[document.first : document.last].tolist() == [11]


def test_an_empty_text_has_no_tokens_of_its_own(tmp_path):
    write(tmp_path / "m")
    embedder = load(tmp_path / "m")
    (empty,) = embedder.prepare([""], "document", wants_tokens=True)
    assert empty.first == empty.last
    assert embedder.run([empty])[0].shape == (2, HIDDEN)


def test_a_checkpoint_without_a_tensor_names_it(tmp_path):
    tensors = write(tmp_path / "m")
    del tensors["encoder.layer.1.output.dense.bias"]
    save_file(tensors, tmp_path / "m" / "model.safetensors")
    with pytest.raises(BadRequest, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        load(tmp_path / "m")


def test_an_unknown_activation_is_named(tmp_path):
    write(tmp_path / "m", activation="swish")
    with pytest.raises(BadRequest, match="swish"):
        load(tmp_path / "m")


def test_a_broken_tokenizer_is_named(tmp_path):
    write(tmp_path / "m")
    (tmp_path / "m" / "tokenizer.json").write_text("{}")
    with pytest.raises(BadRequest, match=r"tokenizer\.json"):
        load(tmp_path / "m")
