"""Texts become vectors in their order, cut and instructed as the call or the configuration says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from clients.errors import BackendError, BadRequest
from clients.llm import Role
from services.llm.backends.base import Prepared
from services.llm.backends.toy import CARD, MAX_TOKENS, ToyEmbedder
from services.llm.embedding import Embedding, cut

from .gated import Gated, call

MATRYOSHKA = replace(CARD, min_dimension=32)


@pytest.fixture
def model() -> Gated:
    model = Gated()
    model.gate.set()
    return model


@pytest.fixture
def embedding(model: Gated) -> Iterator[Embedding]:
    embedding = Embedding(model)
    yield embedding
    embedding.close()


def test_rows_come_in_the_order_of_the_texts_and_repeats_are_equal(embedding, model):
    texts = ["alpha beta", "gamma", "a much longer text with many different words in it", "gamma", "alpha beta"]
    made = embedding.embed(texts, "document", call())
    assert made.vectors.shape == (5, 256)
    assert made.vectors.dtype == np.float32
    assert made.num_tokens == 2 + 1 + 4 + 1 + 2
    np.testing.assert_array_equal(made.vectors[1], made.vectors[3])
    np.testing.assert_array_equal(made.vectors[0], embedding.embed(["alpha beta"], "document", call()).vectors[0])
    assert sum(model.batches) == 3
    assert (embedding.tally.cache_hits, embedding.tally.cache_misses) == (1, 3)
    assert embedding.tally.cache_bytes > 3 * 256 * 4


def test_texts_that_were_cut_are_named(embedding):
    long = " ".join(f"word{i}" for i in range(MAX_TOKENS + 1))
    assert embedding.embed(["a", long, "b", long], "document", call()).truncated == [1, 3]
    assert embedding.embed([long], "document", call()).truncated == [0], "remembered texts were cut too"


def test_token_vectors_are_the_texts_own_and_of_length_one(embedding):
    (tokens,) = embedding.tokens(["red green blue"], "query", call())
    assert tokens.shape == (3, 256)
    np.testing.assert_allclose(np.linalg.norm(tokens, axis=1), 1.0, atol=1e-3)


class Broken(ToyEmbedder):
    """Gives no number for texts of one word."""

    def run(self, batch: Sequence[Prepared], *, is_alone: bool = False) -> list[np.ndarray]:
        return [
            row * (np.nan if len(text.ids) == 1 else 1.0) for row, text in zip(super().run(batch), batch, strict=True)
        ]


def test_a_vector_that_is_no_number_fails_its_own_call_alone():
    embedding = Embedding(Broken())
    with pytest.raises(BackendError, match="not finite"):
        embedding.embed(["red", "red green"], "document", call())
    assert np.isfinite(embedding.embed(["red green"], "document", call()).vectors).all()
    embedding.close()


def test_a_cut_vector_is_the_beginning_of_the_whole_at_length_one():
    embedding = Embedding(ToyEmbedder(MATRYOSHKA))
    texts = ["the red house on the hill", "blue whales"]
    whole = embedding.embed(texts, "document", call()).vectors
    short = embedding.embed(texts, "document", call(), dimension=64).vectors
    assert short.shape == (2, 64)
    assert short.dtype == np.float32
    expected = whole[:, :64] / np.linalg.norm(whole[:, :64], axis=1, keepdims=True).clip(1e-12)
    np.testing.assert_allclose(short, expected, atol=1e-7)
    np.testing.assert_array_equal(embedding.embed(texts, "document", call(), dimension=256).vectors, whole)
    embedding.close()


def test_a_cut_that_leaves_nothing_gives_zeros_and_no_nan():
    assert cut(np.array([[0.0, 0.0, 1.0]], np.float32), 2).tolist() == [[0.0, 0.0]]


def test_the_configured_dimension_holds_unless_a_call_says_otherwise():
    embedding = Embedding(ToyEmbedder(MATRYOSHKA), dimension=128)
    assert embedding.dimension == 128
    assert embedding.embed(["a"], "document", call()).vectors.shape == (1, 128)
    assert embedding.embed(["a"], "document", call(), dimension=32).vectors.shape == (1, 32)
    assert embedding.embed(["a"], "document", call(), dimension=256).vectors.shape == (1, 256)
    embedding.close()


@pytest.mark.parametrize(
    ("card", "dimension", "words", "cure"),
    [
        (CARD, 64, "cannot be cut", "say 256"),
        (MATRYOSHKA, 31, "allows 32 to 256", "leave it out"),
        (MATRYOSHKA, 257, "allows 32 to 256", "leave it out"),
        (MATRYOSHKA, -1, "allows 32 to 256", "leave it out"),
    ],
)
def test_a_dimension_that_the_model_has_not_is_refused_with_what_it_has(card, dimension, words, cure):
    with pytest.raises(BadRequest, match=words) as failure:
        Embedding(ToyEmbedder(card), dimension=dimension)
    assert cure in failure.value.help
    embedding = Embedding(ToyEmbedder(card))
    with pytest.raises(BadRequest, match=words):
        embedding.embed(["a"], "document", call(), dimension=dimension)
    embedding.close()


class Instructed(ToyEmbedder):
    """Sees the instruction in front of the text."""

    def prepare(
        self, texts: Sequence[str], role: Role, *, instruction: str = "", wants_tokens: bool = False
    ) -> list[Prepared]:
        return super().prepare([f"{instruction} {text}" for text in texts], role, wants_tokens=wants_tokens)


def test_an_instruction_changes_a_query_and_is_remembered_apart():
    embedding = Embedding(Instructed(), instruction="find laws")
    plain, told = (
        embedding.embed(["tax"], "query", call(), instruction=instruction).vectors[0]
        for instruction in ("", "find recipes")
    )
    assert not np.array_equal(plain, told)
    np.testing.assert_array_equal(plain, embedding.embed(["tax"], "query", call(), instruction="find laws").vectors[0])
    documents = [
        embedding.embed(["tax"], "document", call(), instruction=instruction).vectors[0] for instruction in ("", "x")
    ]
    np.testing.assert_array_equal(*documents)
    embedding.close()
