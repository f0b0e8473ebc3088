"""Pairs become scores in their order: probabilities once, nothing for empty documents, no number is an error."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.errors import BackendError, Cancelled
from clients.llm import ScoreKind
from services.llm.backends.base import PreparedPair
from services.llm.backends.toy import MAX_TOKENS, ToyScorer
from services.llm.reranking import LOWEST_LOGIT, Reranking, expit

from .gated import call, until

Formula = Callable[[PreparedPair], float]


class Formulaic(ToyScorer):
    """A cross-encoder whose output is a formula of the pair; keeps every batch."""

    def __init__(self, formula: Formula, kind: ScoreKind = "logit") -> None:
        self._formula = formula
        self.kind = kind
        self.batches: list[list[PreparedPair]] = []

    def run(self, batch: Sequence[PreparedPair], *, is_alone: bool = False) -> np.ndarray:
        self.batches.append(list(batch))
        return np.array([self._formula(pair) for pair in batch], np.float32)


def length(pair: PreparedPair) -> float:
    """The number of words, so that every length has its own score."""
    return float(pair.num_tokens) - 5.0


@pytest.fixture
def scorer() -> Formulaic:
    return Formulaic(length)


@pytest.fixture
def reranking(scorer: Formulaic) -> Iterator[Reranking]:
    reranking = Reranking(scorer)
    yield reranking
    reranking.close()


def test_logits_become_probabilities_once_and_stay_beside_them(reranking):
    scores = reranking.score([("q", "red green"), ("q", "red")], call())
    assert scores.kind == "probability"
    assert scores.logits.tolist() == [-3.0, -4.0]
    assert scores.scores.tolist() == pytest.approx([1 / (1 + math.exp(3)), 1 / (1 + math.exp(4))], rel=1e-6)
    assert scores.scores.dtype == scores.logits.dtype == np.float32
    assert scores.num_tokens == (2 + 1) + (1 + 1)


@pytest.mark.parametrize("kind", ["probability", "similarity"])
def test_what_is_a_probability_or_a_similarity_already_is_left_as_it_is(kind):
    reranking = Reranking(Formulaic(lambda _: 0.25, kind))
    scores = reranking.score([("q", "d"), ("q", "")], call())
    assert scores.kind == kind
    assert scores.scores.tolist() == scores.logits.tolist() == [0.25, 0.0]
    reranking.close()


@pytest.mark.parametrize("empty", ["", " \n\t"])
def test_an_empty_document_has_the_lowest_score_and_never_reaches_the_model(reranking, scorer, empty):
    scores = reranking.score([("q", empty), ("q", "red"), ("", "red")], call())
    assert scores.scores.tolist()[0] == scores.scores.tolist()[2] == 0.0
    assert scores.logits.tolist()[0] == LOWEST_LOGIT
    assert [len(batch) for batch in scorer.batches] == [1]
    assert reranking.score([("q", empty)], call()).scores.tolist() == [0.0]


def test_pairs_that_were_cut_are_named(reranking):
    long = " ".join(f"word{i}" for i in range(MAX_TOKENS + 1))
    assert reranking.score([("q", "a"), ("q", long), ("q", ""), ("q", long)], call()).truncated == [1, 3]


def test_a_pass_holds_only_pairs_that_share_their_query(reranking, scorer):
    pairs = [(query, f"document {i}") for i in range(10) for query in ("red", "blue")]
    reranking.score(pairs, call())
    assert sorted(len(batch) for batch in scorer.batches) == [10, 10]
    assert all(len({pair.shared for pair in batch}) == 1 for batch in scorer.batches)


def test_a_pair_is_remembered_with_its_instruction(reranking, scorer):
    for instruction in ("", "find laws", "", "find laws", "find recipes"):
        reranking.score([("q", "d")], call(), instruction=instruction)
    assert len(scorer.batches) == 3
    assert (reranking.tally.cache_hits, reranking.tally.cache_misses) == (2, 3)


def test_the_configured_instruction_holds_unless_a_call_says_otherwise(scorer):
    reranking = Reranking(scorer, instruction="find laws")
    for instruction in ("", "find laws"):
        reranking.score([("q", "d")], call(), instruction=instruction)
    assert len(scorer.batches) == 1
    reranking.close()


@pytest.mark.parametrize("output", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_an_error_of_its_own_calls_alone(output):
    reranking = Reranking(Formulaic(lambda pair: output if pair.num_tokens == 1 else 1.0))
    with ThreadPoolExecutor(2) as pool:
        bad = pool.submit(reranking.score, [("q", "red")], call())
        good = pool.submit(reranking.score, [("q", "red green")], call())
        with pytest.raises(BackendError, match="gave the score"):
            bad.result(5)
        assert good.result(5).logits.tolist() == [1.0]
    reranking.close()


def test_a_model_that_cannot_tell_documents_apart_is_reported_once(caplog):
    reranking = Reranking(Formulaic(lambda _: 0.0))
    pairs = [("q", f"document number {i}") for i in range(8)]
    with caplog.at_level(logging.WARNING):
        reranking.score(pairs[:7], call())
        reranking.score(pairs[:1] * 20, call())
        assert not caplog.records
        reranking.score(pairs, call())
        reranking.score(pairs, call())
    assert [record.getMessage().count("the same score") for record in caplog.records] == [1]
    reranking.close()


def test_a_similarity_of_nothing_in_common_is_no_alarm(caplog):
    reranking = Reranking(ToyScorer())
    with caplog.at_level(logging.WARNING):
        reranking.score([("query", f"other{i}") for i in range(12)], call())
    assert not caplog.records
    reranking.close()


def test_a_call_that_was_given_up_is_not_scored(reranking, scorer):
    gone = call()
    gone.cancelled.set()
    with pytest.raises(Cancelled):
        reranking.score([("q", "d")], gone)
    until(lambda: reranking.tally.num_waiting == 0)
    assert not scorer.batches


@given(st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=2, max_size=50))
def test_expit_keeps_the_order_and_the_bounds_without_overflow(values):
    logits = np.array(sorted(values), np.float32)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        probabilities = expit(logits)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert (np.diff(probabilities) >= 0).all()


@given(st.floats(-80, 80, width=32))
def test_expit_is_the_logistic_function(logit):
    expected = 1 / (1 + math.exp(-logit))
    assert float(expit(np.array([logit], np.float32))[0]) == pytest.approx(expected, rel=1e-6, abs=1e-37)
