"""Many calls, one model: nothing is computed twice or for nobody, and each call ends once."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from clients.errors import BackendError, Cancelled, DeadlineExceeded, ModelNotLoaded, RagqError
from services.llm.backends.toy import ToyEmbedder
from services.llm.embedding import Embedding

from .gated import Gated, call, until


@pytest.fixture
def model():
    return Gated()


@pytest.fixture
def embedding(model):
    embedding = Embedding(model)
    yield embedding
    model.gate.set()
    embedding.close()


def test_callers_of_the_same_text_share_one_computation(embedding, model):
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(embedding.embed, ["the same text"], "document", call()) for _ in range(8)]
        assert model.entered.wait(5)
        model.gate.set()
        rows = [answer.result(10).vectors[0] for answer in answers]
    assert sum(model.batches) == 1
    assert all(np.array_equal(row, rows[0]) for row in rows)


def test_what_queues_while_the_model_works_becomes_one_batch(embedding, model):
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(embedding.embed, ["first"], "document", call())
        assert model.entered.wait(5)
        rest = [pool.submit(embedding.embed, [f"text number{i}"], "document", call()) for i in range(8)]
        until(lambda: embedding.tally.num_waiting == 8)
        assert embedding.tally.num_running == 1
        model.gate.set()
        for answer in [first, *rest]:
            answer.result(10)
    assert model.batches == [1, 8]
    assert embedding.tally.num_passes == 2
    assert embedding.tally.num_tokens == 1 + 8 * 2


def test_a_pass_is_told_that_it_is_alone_only_when_nothing_else_waits(embedding, model):
    model.gate.set()
    embedding.embed(["one"], "document", call())
    model.gate.clear()
    model.entered.clear()
    with ThreadPoolExecutor(3) as pool:
        held = pool.submit(embedding.embed, ["held"], "document", call())
        assert model.entered.wait(5)
        long, short = "a long text of many more words than one " * 20, "short"
        rest = [pool.submit(embedding.embed, [text], "document", call()) for text in (long, short)]
        until(lambda: embedding.tally.num_waiting == 2)
        model.gate.set()
        for answer in [held, *rest]:
            answer.result(10)
    assert model.alone == [True, True, False, True]


def test_vectors_of_texts_and_of_tokens_never_share_a_pass(embedding, model):
    with ThreadPoolExecutor(3) as pool:
        held = pool.submit(embedding.embed, ["held"], "query", call())
        assert model.entered.wait(5)
        whole = pool.submit(embedding.embed, ["red green"], "query", call())
        tokens = pool.submit(embedding.tokens, ["red green"], "query", call())
        until(lambda: embedding.tally.num_waiting == 2)
        model.gate.set()
        held.result(5)
        assert whole.result(5).vectors.shape == (1, 256)
        assert tokens.result(5)[0].shape == (2, 256)
    assert model.batches == [1, 1, 1]


def test_a_cancelled_call_ends_at_once_and_its_text_is_never_computed(embedding, model):
    gone = call()
    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(embedding.embed, ["held"], "document", call())
        assert model.entered.wait(5)
        lost = pool.submit(embedding.embed, ["nobody waits for this"], "document", gone)
        until(lambda: embedding.tally.num_waiting == 1)
        gone.cancelled.set()
        with pytest.raises(Cancelled):
            lost.result(5)
        model.gate.set()
        held.result(5)
    assert model.batches == [1]
    until(lambda: embedding.tally.num_waiting == 0)


def test_a_call_that_is_over_before_it_begins_is_not_even_tokenised(embedding, model, monkeypatch):
    monkeypatch.setattr(model, "prepare", lambda *_, **__: pytest.fail("it was tokenised"))
    gone = call()
    gone.cancelled.set()
    with pytest.raises(Cancelled):
        embedding.embed(["a"], "document", gone)
    with pytest.raises(DeadlineExceeded):
        embedding.embed(["a"], "document", call(0.0))


def test_a_call_whose_time_is_over_says_so(embedding):
    with pytest.raises(DeadlineExceeded):
        embedding.embed(["too late"], "document", call(0.05))


def test_a_text_whose_first_caller_left_still_serves_the_second(embedding, model):
    gone = call()
    with ThreadPoolExecutor(3) as pool:
        held = pool.submit(embedding.embed, ["held"], "document", call())
        assert model.entered.wait(5)
        lost = pool.submit(embedding.embed, ["shared"], "document", gone)
        until(lambda: embedding.tally.num_waiting == 1)
        kept = pool.submit(embedding.embed, ["shared", "another"], "document", call())
        until(lambda: embedding.tally.num_waiting == 2)
        gone.cancelled.set()
        with pytest.raises(Cancelled):
            lost.result(5)
        model.gate.set()
        assert kept.result(5).vectors.shape == (2, 256)
        held.result(5)


def test_what_is_left_of_a_call_that_failed_is_not_computed(embedding, model):
    """Two texts of one call in two passes: the first one fails, nobody wants the second."""
    model.error = BackendError("out of memory")
    with ThreadPoolExecutor(1) as pool:
        both = pool.submit(embedding.embed, ["short", "a long text of many more words " * 20], "document", call())
        assert model.entered.wait(5)
        model.gate.set()
        with pytest.raises(BackendError):
            both.result(5)
    until(lambda: embedding.tally.num_waiting == 0)
    assert len(model.batches) <= 2


@pytest.mark.parametrize("error", [BackendError("out of memory"), RuntimeError("out of memory")])
def test_a_failure_of_the_model_reaches_its_callers_and_the_next_call_is_served(embedding, model, error):
    model.gate.set()
    model.error = error
    with pytest.raises(BackendError, match="out of memory"):
        embedding.embed(["a"], "document", call())
    model.error = None
    assert embedding.embed(["a"], "document", call()).vectors.shape == (1, 256)


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
    assert model.is_closed
    with pytest.raises(ModelNotLoaded):
        embedding.embed(["b"], "document", call())


class Fickle(ToyEmbedder):
    """Works on two streams and fails now and then."""

    num_streams = 2

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self.num_texts = 0

    def run(self, batch, *, is_alone=False):
        time.sleep(self._random.random() * 0.002)
        self.num_texts += len(batch)
        if self._random.random() < 0.05:
            raise BackendError("it happens")
        return super().run(batch)


@pytest.mark.parametrize("seed", range(3))
def test_under_cancels_deadlines_and_failures_every_call_ends_once_with_its_own_rows(seed):
    model = Fickle(seed)
    embedding = Embedding(model, cache_bytes=50_000)
    words = [f"word{i} " * (1 + i % 40) for i in range(120)]
    exact = {word: ToyEmbedder().run(ToyEmbedder().prepare([word], "document"))[0] for word in words}

    def one(number: int) -> str:
        chance = random.Random(f"{seed}-{number}")
        texts = chance.choices(words, k=chance.randint(1, 6))
        at = call(chance.choice([0.001, 0.01, 5.0, 5.0, 5.0]))
        if chance.random() < 0.2:
            threading.Timer(chance.random() * 0.01, at.cancelled.set).start()
        try:
            rows = embedding.embed(texts, chance.choice(["query", "document"]), at).vectors
        except RagqError as error:
            return type(error).__name__
        np.testing.assert_array_equal(rows, np.stack([exact[text] for text in texts]))
        return "ok"

    with ThreadPoolExecutor(24) as pool:
        outcomes = list(pool.map(one, range(600)))
    assert set(outcomes) <= {"ok", "Cancelled", "DeadlineExceeded", "BackendError"}
    assert outcomes.count("ok") > 200
    until(lambda: embedding.tally.num_waiting == embedding.tally.num_running == 0)
    assert not embedding._flights._flights
    embedding.close()
