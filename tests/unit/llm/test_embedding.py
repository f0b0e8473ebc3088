"""Many calls, one model: each gets its own rows, nothing is computed twice or for nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from clients.errors import BackendError, Cancelled, DeadlineExceeded, ModelNotLoaded
from services.llm.backends.base import Prepared
from services.llm.backends.toy import ToyEmbedder
from services.llm.embedding import Embedding
from services.service import Call


class Gated(ToyEmbedder):
    """A toy that waits at a gate, counts what it does and can fail."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.batches: list[int] = []
        self.error: Exception | None = None

    def run(self, batch: Sequence[Prepared]) -> list[np.ndarray]:
        self.entered.set()
        assert self.gate.wait(10)
        self.batches.append(len(batch))
        if self.error:
            raise self.error
        return super().run(batch)


@pytest.fixture
def model():
    return Gated()


@pytest.fixture
def embedding(model):
    embedding = Embedding(model)
    yield embedding
    model.gate.set()
    embedding.close()


def call(timeout_s: float = 10.0) -> Call:
    return Call(time.monotonic() + timeout_s)


def test_rows_come_in_the_order_of_the_texts_and_repeats_are_equal(embedding, model):
    model.gate.set()
    texts = ["alpha beta", "gamma", "a much longer text with many different words in it", "gamma", "alpha beta"]
    vectors, num_tokens = embedding.embed(texts, "document", call())
    assert vectors.shape == (5, 256)
    assert vectors.dtype == np.float32
    assert num_tokens == 2 + 1 + 4 + 1 + 2
    np.testing.assert_array_equal(vectors[1], vectors[3])
    np.testing.assert_array_equal(vectors[0], embedding.embed(["alpha beta"], "document", call())[0][0])
    assert sum(model.batches) == 3


def test_callers_of_the_same_text_share_one_computation(embedding, model):
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(embedding.embed, ["the same text"], "document", call()) for _ in range(8)]
        assert model.entered.wait(5)
        model.gate.set()
        rows = [answer.result(10)[0][0] for answer in answers]
    assert sum(model.batches) == 1
    assert all(np.array_equal(row, rows[0]) for row in rows)


def test_what_queues_while_the_model_works_becomes_one_batch(embedding, model):
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(embedding.embed, ["first"], "document", call())
        assert model.entered.wait(5)
        rest = [pool.submit(embedding.embed, [f"text number{i}"], "document", call()) for i in range(8)]
        while len(embedding._batcher) < 8:
            time.sleep(0.001)
        model.gate.set()
        for answer in [first, *rest]:
            answer.result(10)
    assert model.batches == [1, 8]


def test_a_cancelled_call_ends_at_once_and_its_text_is_never_computed(embedding, model):
    gone = call()
    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(embedding.embed, ["held"], "document", call())
        assert model.entered.wait(5)
        lost = pool.submit(embedding.embed, ["nobody waits for this"], "document", gone)
        gone.cancelled.set()
        with pytest.raises(Cancelled):
            lost.result(5)
        model.gate.set()
        held.result(5)
    assert model.batches == [1]
    assert len(embedding._flights) == 0


def test_a_call_whose_time_is_over_says_so(embedding):
    with pytest.raises(DeadlineExceeded):
        embedding.embed(["too late"], "document", call(0.05))


def test_a_text_whose_first_caller_left_still_serves_the_second(embedding, model):
    gone = call()
    with ThreadPoolExecutor(3) as pool:
        held = pool.submit(embedding.embed, ["held"], "document", call())
        assert model.entered.wait(5)
        lost = pool.submit(embedding.embed, ["shared"], "document", gone)
        kept = pool.submit(embedding.embed, ["shared"], "document", call())
        while len(next(reversed(embedding._flights.values())).calls) < 2:
            time.sleep(0.001)
        gone.cancelled.set()
        with pytest.raises(Cancelled):
            lost.result(5)
        model.gate.set()
        assert kept.result(5)[0].shape == (1, 256)
        held.result(5)


@pytest.mark.parametrize("error", [BackendError("out of memory"), RuntimeError("out of memory")])
def test_a_failure_of_the_model_reaches_its_callers_and_the_next_call_is_served(embedding, model, error):
    model.gate.set()
    model.error = error
    with pytest.raises(BackendError, match="out of memory"):
        embedding.embed(["a"], "document", call())
    model.error = None
    assert embedding.embed(["a"], "document", call())[0].shape == (1, 256)


def test_token_vectors_are_the_texts_own_and_of_length_one(embedding, model):
    model.gate.set()
    (tokens,) = embedding.tokens(["red green blue"], "query", call())
    assert tokens.shape == (3, 256)
    np.testing.assert_allclose(np.linalg.norm(tokens, axis=1), 1.0, atol=1e-3)


def test_a_closed_model_refuses_new_calls_and_frees_those_that_wait(model):
    embedding = Embedding(model)
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(embedding.embed, ["a"], "document", call())
        assert model.entered.wait(5)
        closer = threading.Thread(target=embedding.close)
        closer.start()
        with pytest.raises(ModelNotLoaded):
            waits.result(5)
        model.gate.set()
        closer.join()
    with pytest.raises(ModelNotLoaded):
        embedding.embed(["b"], "document", call())
