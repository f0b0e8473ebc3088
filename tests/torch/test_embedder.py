"""Vectors of the torch backend equal those of transformers, and do not depend on what they are batched with."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pip install 'ragq[torch]'")

from services.llm.backends.torch.device import Place  # noqa: E402 - needs torch
from services.llm.backends.torch.embedder import TorchEmbedder  # noqa: E402 - needs torch

from . import small_models  # noqa: E402 - needs torch

pytestmark = pytest.mark.torch
CPU = Place(torch.device("cpu"), torch.float32)
COARSE = Place(torch.device("cpu"), torch.bfloat16)
WORDS = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9 w10 w11 w1 w2", "w20 w21 w22 w1", "w1 " * 100]
TEXTS = ["The cat sits on the mat.", "x", "Interest rates rose sharply in the last quarter. " * 9, "where is it"]


def golden(model, ids: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(input_ids=torch.from_numpy(ids.astype(np.int64))[None]).last_hidden_state[0].numpy()


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.mark.parametrize("kind", small_models.ENCODERS)
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_an_encoder_gives_the_vectors_of_transformers(tmp_path, kind, pooling):
    model, reference = small_models.encoder(tmp_path / "m", kind, pooling)
    embedder = TorchEmbedder(model, CPU)
    texts = embedder.prepare(WORDS, "document")
    for text, vector in zip(texts, embedder.run(texts), strict=True):
        expected = golden(reference, text.ids)
        np.testing.assert_allclose(vector, unit(expected[0] if pooling == "cls" else expected.mean(0)), atol=1e-5)
    assert texts[-1].is_cut
    assert not any(text.is_cut for text in texts[:-1])


@pytest.mark.parametrize("kind", small_models.DECODERS)
def test_a_causal_model_gives_the_vector_of_its_last_token(tmp_path, kind):
    model, reference = small_models.decoder(tmp_path / "m", kind, is_embedder=True)
    embedder = TorchEmbedder(model, CPU)
    texts = embedder.prepare(TEXTS, "query")
    for text, vector in zip(texts, embedder.run(texts), strict=True):
        np.testing.assert_allclose(vector, unit(golden(reference, text.ids)[-1]), atol=1e-5)


def test_a_text_has_the_same_vector_alone(tmp_path):
    model, _ = small_models.decoder(tmp_path / "m", "qwen3", is_embedder=True)
    embedder = TorchEmbedder(model, CPU)
    texts = embedder.prepare(TEXTS, "document")
    for text, vector in zip(texts, embedder.run(texts), strict=True):
        np.testing.assert_allclose(vector, embedder.run([text], is_alone=True)[0], atol=1e-5)


def test_an_instruction_of_the_call_takes_the_place_of_the_models_own(tmp_path):
    model, _ = small_models.decoder(tmp_path / "m", "qwen3", is_embedder=True)
    embedder = TorchEmbedder(model, CPU, instruction="find it")
    (own,), (same,), (other,) = (
        embedder.prepare(["x"], "query", instruction=told) for told in ("", "find it", "find another")
    )
    assert own.ids.tolist() == same.ids.tolist() != other.ids.tolist()


def test_vectors_of_tokens_come_beside_vectors_of_texts(tmp_path):
    model, reference = small_models.encoder(tmp_path / "m", "bert")
    embedder = TorchEmbedder(model, CPU)
    batch = [
        *embedder.prepare(WORDS[:2], "document", wants_tokens=True), *embedder.prepare(WORDS[2:3], "document"),
    ]  # fmt: skip
    first, second, whole = embedder.run(batch)
    np.testing.assert_allclose(first, unit(golden(reference, batch[0].ids)), atol=1e-5)
    np.testing.assert_allclose(second, unit(golden(reference, batch[1].ids)), atol=1e-5)
    assert whole.shape == (32,)


def test_bf16_keeps_the_direction(tmp_path):
    model, _ = small_models.decoder(tmp_path / "m", "qwen3", is_embedder=True)
    exact, coarse = TorchEmbedder(model, CPU), TorchEmbedder(model, COARSE)
    texts = exact.prepare(TEXTS, "document")
    assert min(float(a @ b) for a, b in zip(exact.run(texts), coarse.run(texts), strict=True)) > 0.999


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("kind", ["bert", "qwen3"])
def test_a_gpu_gives_the_vectors_of_the_processor(tmp_path, kind):
    make = small_models.encoder if kind == "bert" else small_models.decoder
    model, _ = make(tmp_path / "m", kind, **({} if kind == "bert" else {"is_embedder": True}))
    exact, fast = TorchEmbedder(model, CPU), TorchEmbedder(model, Place(torch.device("cuda"), torch.bfloat16))
    texts = exact.prepare(WORDS if kind == "bert" else TEXTS, "document")
    assert min(float(a @ b) for a, b in zip(exact.run(texts), fast.run(texts), strict=True)) > 0.999
