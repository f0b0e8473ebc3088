"""Every control of sampling changes which tokens may come, as its definition says."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.errors import BadRequest
from clients.llm import Generate
from services.llm.sampling import NUCLEUS, Penalties, Sampler, candidates, log_softmax

LOGITS = np.log(np.array([0.5, 0.25, 0.125, 0.1, 0.025], np.float32))


def asked(**controls: Any) -> Generate:
    return Generate(prompt="x", **controls)


def drawn(**controls: Any) -> list[int]:
    ids, _ = candidates(LOGITS.astype(np.float64), asked(**{"temperature": 1.0, **controls}))
    return ids.tolist()


def test_without_controls_each_token_may_come_with_its_probability():
    ids, probabilities = candidates(LOGITS.astype(np.float64), asked(temperature=1.0))
    assert ids.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(probabilities, [0.5, 0.25, 0.125, 0.1, 0.025], rtol=1e-6)


def test_draws_come_as_often_as_their_probability_says():
    sampler = Sampler(asked(temperature=1.0, seed=3))
    counts = Counter(sampler.next(LOGITS) for _ in range(4000))
    expected = {0: 2000, 1: 1000, 2: 500, 3: 400, 4: 100}
    chi_square = sum((counts[token] - mean) ** 2 / mean for token, mean in expected.items())
    assert chi_square < 18.5  # 0.1 % for four degrees of freedom


def test_temperature_sharpens_and_flattens():
    half = candidates(LOGITS.astype(np.float64), asked(temperature=0.5))[1]
    squares = np.array([0.5, 0.25, 0.125, 0.1, 0.025]) ** 2
    np.testing.assert_allclose(half, squares / squares.sum(), rtol=1e-5)


def test_temperature_zero_takes_the_likeliest_and_the_first_of_equals():
    assert Sampler(asked()).next(LOGITS) == 0
    assert Sampler(asked()).next(np.array([1.0, 2.0, 2.0], np.float32)) == 1


@pytest.mark.parametrize(
    ("controls", "ids"),
    [
        ({"top_k": 2}, [0, 1]),
        ({"top_k": 99}, [0, 1, 2, 3, 4]),
        ({"top_p": 0.4}, [0]),
        ({"top_p": 0.5}, [0]),
        ({"top_p": 0.51}, [0, 1]),
        ({"top_p": 0.8}, [0, 1, 2]),
        ({"top_p": 0.001}, [0]),
        ({"min_p": 0.24}, [0, 1, 2]),
        ({"min_p": 1.0}, [0]),
        ({"top_k": 3, "top_p": 0.6}, [0, 1]),
    ],
    ids=str,
)
def test_filters_leave_the_likeliest(controls: dict[str, Any], ids: list[int]) -> None:
    assert drawn(**controls) == ids


@given(st.floats(0.05, 0.999), st.integers(0, 1000), st.floats(0.1, 30.0))
def test_the_nucleus_of_a_large_vocabulary_is_the_smallest_set_that_reaches_top_p(top_p, seed, spread):
    logits = np.random.default_rng(seed).normal(0, spread, 3 * NUCLEUS)
    ids, kept = candidates(logits, asked(temperature=1.0, top_p=top_p))
    probabilities = np.exp(log_softmax(logits))
    assert probabilities[ids].sum() >= top_p - 1e-9
    assert probabilities[ids[:-1]].sum() < top_p + 1e-9
    assert probabilities[ids].min() >= np.delete(probabilities, ids).max(initial=0.0)
    assert kept.sum() == pytest.approx(1.0)


def test_a_banned_token_never_comes_and_all_banned_is_refused():
    sampler = Sampler(asked(temperature=2.0, seed=1, ban_tokens=[0, 3, 99]))
    assert {sampler.next(LOGITS) for _ in range(300)} == {1, 2, 4}
    with pytest.raises(BadRequest, match="ban_tokens"):
        Sampler(asked(ban_tokens=[0, 1, 2, 3, 4])).next(LOGITS)


def test_presence_counts_once_and_frequency_each_time_for_either_sign():
    penalties = Penalties(asked(presence_penalty=0.5, frequency_penalty=0.25))
    for token in (1, 1, 2):
        penalties.note(token)
    logits = np.array([3.0, 3.0, -3.0], np.float32)
    np.testing.assert_allclose(penalties.apply(logits), [3.0, 3.0 - 0.5 - 0.5, -3.0 - 0.5 - 0.25])
    np.testing.assert_array_equal(logits, [3.0, 3.0, -3.0])


def test_negative_penalties_invite():
    penalties = Penalties(asked(presence_penalty=-1.0))
    penalties.note(0)
    np.testing.assert_allclose(penalties.apply(np.array([-3.0, 0.0])), [-2.0, 0.0])


def test_repetition_weighs_the_prompt_too_and_goes_down_for_either_sign():
    penalties = Penalties(asked(repetition_penalty=2.0), [0])
    penalties.note(1)
    np.testing.assert_allclose(penalties.apply(np.array([4.0, -4.0, 4.0])), [2.0, -8.0, 4.0])


def test_penalties_fade_with_each_further_token():
    penalties = Penalties(asked(presence_penalty=1.0, frequency_penalty=1.0, penalty_decay=0.5))
    for token in (0, 0, 1):
        penalties.note(token)
    # Token 0 was written 1 and 2 tokens before the newest.
    np.testing.assert_allclose(penalties.apply(np.zeros(3)), [-0.5 - (0.5 + 0.25), -2.0, 0.0])


def test_a_copy_has_its_own_future():
    one = Penalties(asked(presence_penalty=1.0))
    one.note(0)
    other = one.copy()
    other.note(1)
    np.testing.assert_allclose(one.apply(np.zeros(2)), [-1.0, 0.0])
    np.testing.assert_allclose(other.apply(np.zeros(2)), [-1.0, -1.0])


def test_the_same_seed_draws_the_same_and_another_one_does_not():
    def draws(seed: int | None) -> list[int]:
        sampler = Sampler(asked(temperature=1.5, seed=seed))
        return [sampler.next(LOGITS) for _ in range(64)]

    assert draws(5) == draws(5)
    assert draws(-5) == draws(-5)
    assert draws(5) != draws(6)
    assert draws(None) != draws(None)
