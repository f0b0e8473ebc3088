"""Which failed calls are sent again, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients import errors
from clients.retry import BURST, LONGEST_PAUSE_S, MAX_ATTEMPTS, Retries


def pause(
    error: errors.RagqError, attempt: int = 0, left_s: float = 30.0, *, is_idempotent: bool = True, dice: float = 1.0
) -> float | None:
    return Retries(lambda: dice).pause(error, attempt, left_s, is_idempotent=is_idempotent)


@pytest.mark.parametrize("error", [errors.Busy("x"), errors.OverLimit("x"), errors.Unreachable("x")], ids=repr)
def test_what_certainly_did_not_run_may_run_again_whatever_it_is(error: errors.RagqError) -> None:
    assert pause(error, is_idempotent=False) is not None


@pytest.mark.parametrize("error", [errors.WorkerLost("x"), errors.DataLoss("x"), errors.Corrupted("x")], ids=repr)
def test_what_may_have_run_runs_again_only_if_that_does_no_harm(error: errors.RagqError) -> None:
    assert pause(error, is_idempotent=True) is not None
    assert pause(error, is_idempotent=False) is None


@pytest.mark.parametrize(
    "error",
    [errors.BadRequest("x"), errors.DeadlineExceeded("x"), errors.Cancelled("x"), errors.Internal("x")],
    ids=repr,
)
def test_what_would_fail_again_is_not_tried_again(error: errors.RagqError) -> None:
    assert pause(error) is None


def test_the_pause_grows_and_is_spread_over_its_whole_length() -> None:
    lost = errors.WorkerLost("x")
    assert [pause(lost, attempt) for attempt in range(MAX_ATTEMPTS)] == [0.05, 0.1, None]
    assert pause(lost, dice=0.0) == 0.0


def test_the_other_side_may_ask_for_a_longer_pause() -> None:
    assert pause(errors.Busy("x", retry_after_s=0.7)) == 0.7


def test_no_pause_outlasts_the_deadline() -> None:
    assert pause(errors.Busy("x", retry_after_s=0.7), left_s=0.7) is None


def test_retries_live_on_a_budget_of_one_for_ten_calls() -> None:
    retries = Retries(lambda: 0.0)
    lost = errors.WorkerLost("x")

    def may() -> bool:
        return retries.pause(lost, 0, 30.0, is_idempotent=True) is not None

    assert sum(may() for _ in range(100)) == BURST
    for _ in range(21):
        retries.called()
    assert [may(), may(), may()] == [True, True, False]


@given(st.integers(0, 5), st.floats(0, 1), st.floats(0, 100), st.floats(0, 5), st.booleans())
def test_a_pause_is_never_negative_nor_beyond_what_is_left(
    attempt: int, dice: float, left_s: float, retry_after_s: float, is_idempotent: bool
) -> None:
    found = pause(
        errors.Busy("x", retry_after_s=retry_after_s), attempt, left_s, is_idempotent=is_idempotent, dice=dice
    )
    assert found is None or 0 <= found < left_s
    assert found is None or found <= max(LONGEST_PAUSE_S, retry_after_s)
