"""A curve and two thresholds from cases, and the figures that tell how good they are."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.abstention import (
    abstention_at,
    auroc,
    brier,
    calibration_error,
    coverage_at_precision,
    estimates,
    paired,
    precision_at,
    risk_coverage_area,
)
from clients.calibration import Calibration, Scorers, scorers_of, sigmoid
from clients.errors import BadRequest
from clients.fitting import Case, Kind, Target, calibrate, isotonic, platt, read_mix, read_target
from clients.models import ModelInfo

HERE = Scorers("e5", "maxsim", "evidence 1 top 8")
P = np.array([0.9, 0.8, 0.6, 0.3])
RIGHT = np.array([True, False, True, False])
ONES = np.ones(4)
NUMBERS = st.lists(st.floats(-5, 5), min_size=1, max_size=20)


def drawn(num_questions: int, seed: int = 1) -> list[Case]:
    """Questions whose evidence is a normal number around 2 with their documents, 1 without and -2 for foreign ones.

    The confidence before is the evidence on another scale, so that it is badly calibrated.
    """
    random = np.random.default_rng(seed)
    centres: dict[Kind, float] = {"answerable": 2.0, "hard": 1.0, "easy": -2.0}
    return [
        Case(
            number,
            kind,
            2 * (x := float(random.normal(centre))) + 3,
            sigmoid(0.2 * x + 2),
            kind == "answerable",
        )
        for number in range(num_questions)
        for kind, centre in centres.items()
    ]


@given(NUMBERS, NUMBERS)
def test_auroc_is_the_share_of_pairs_in_the_right_order(above: list[float], below: list[float]) -> None:
    pairs = [(a > b) + 0.5 * (a == b) for a in above for b in below]
    assert auroc(np.array(above), np.array(below)) == pytest.approx(sum(pairs) / len(pairs))


def test_figures_against_values_worked_out_by_hand() -> None:
    # Bins of 0.9, 0.8, 0.6 and 0.3 with gaps -0.1, 0.8, -0.4 and 0.3.
    assert calibration_error(P, RIGHT, ONES) == pytest.approx((0.1 + 0.8 + 0.4 + 0.3) / 4)
    assert brier(P, RIGHT, ONES) == pytest.approx((0.01 + 0.64 + 0.16 + 0.09) / 4)
    assert precision_at(0.6, P, RIGHT, ONES) == pytest.approx(2 / 3)
    assert abstention_at(0.7, P, RIGHT, ONES) == (pytest.approx(1 / 2), pytest.approx(1 / 2))
    assert coverage_at_precision(0.6, P, RIGHT, ONES) == pytest.approx(3 / 4)
    assert coverage_at_precision(1.0, P, RIGHT, ONES) == pytest.approx(1 / 4)
    # Answered one after the other, none, a half, a third and a half of the answers are wrong.
    assert risk_coverage_area(P, RIGHT, ONES) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_a_weight_counts_as_so_many_cases() -> None:
    twice = np.array([2.0, 1.0, 1.0, 1.0])
    more = [np.concatenate([values[:1], values]) for values in (P, RIGHT)]
    for measure in (calibration_error, brier, risk_coverage_area):
        assert measure(P, RIGHT, twice) == pytest.approx(measure(*more, np.ones(5)))


def test_platt_finds_the_curve_that_the_outcomes_were_drawn_from() -> None:
    random = np.random.default_rng(3)
    x = random.normal(size=20_000)
    y = (random.random(20_000) < 1 / (1 + np.exp(-(1.5 * x - 0.7)))).astype(float)
    slope, intercept = platt(x, y, np.ones_like(x))
    assert (slope, intercept) == (pytest.approx(1.5, abs=0.06), pytest.approx(-0.7, abs=0.05))


def test_platt_stays_finite_where_the_evidence_separates_perfectly_and_never_falls() -> None:
    x, y = np.array([-3.0, -2.0, 2.0, 3.0]), np.array([0.0, 0.0, 1.0, 1.0])
    slope, intercept = platt(x, y, np.ones(4))
    assert 0 < slope < 100
    assert abs(intercept) < 1
    assert platt(x, 1 - y, np.ones(4))[0] == 0.0
    assert all(map(math.isfinite, platt(1e6 * x, y, np.ones(4))))


@given(st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=1, max_size=40))
def test_an_isotonic_curve_rises_and_keeps_the_share_of_right_ones(pairs: list[tuple[float, bool]]) -> None:
    x, y = (np.array(column, float) for column in zip(*pairs, strict=True))
    knots, levels = isotonic(x, y, np.ones_like(x))
    assert knots == sorted(set(knots))
    assert levels == sorted(levels)
    assert 0.0 <= levels[0] <= levels[-1] <= 1.0


def test_a_calibration_is_nearer_to_the_truth_on_questions_that_it_has_not_seen() -> None:
    result = calibrate("papers", HERE, drawn(200), Target(0.9))
    figures = result.quality.figures
    assert figures["ece_after"].value < 0.06 < figures["ece_before"].value
    assert figures["brier_after"].value < figures["brier_before"].value
    assert figures["auroc_easy"].value > 0.95
    assert 0.6 < figures["auroc_hard"].value < 0.9
    for figure in figures.values():
        assert figure.low <= figure.value <= figure.high
    assert (result.quality.num_questions, result.quality.num_hard) == (100, 100)
    assert 0 <= result.t_low < result.t_high <= 1
    assert result.is_reached
    assert figures["precision"].high >= 0.9
    assert calibrate("papers", HERE, drawn(200), Target(0.9)) == result  # the same halves every time


def test_a_target_that_the_models_cannot_reach_is_said_so() -> None:
    blind = [replace(case, evidence=float(case.question % 7)) for case in drawn(100)]
    result = calibrate("papers", HERE, blind, Target(0.99))
    assert not result.is_reached
    assert 0 <= result.t_low < result.t_high <= 1


def test_costs_give_the_thresholds_by_chows_rule() -> None:
    result = calibrate("papers", HERE, drawn(100), read_target("cost=4:1:0.2"))
    assert (result.t_low, result.t_high) == (pytest.approx(0.2), pytest.approx(0.8))


def test_a_thousand_cases_make_an_isotonic_curve() -> None:
    result = calibrate("papers", HERE, drawn(700), Target(0.9))
    assert len(result.knots) > 3
    p = [result.probability(x) for x in np.linspace(-20, 40, 90)]
    assert p == sorted(p)
    assert (p[0], p[-1]) == (result.levels[0], result.levels[-1])
    assert result.quality.figures["ece_after"].value < 0.06


def test_a_question_that_was_not_found_counts_as_one_that_must_not_be_answered() -> None:
    lost = [replace(case, is_found=False) for case in drawn(100)]
    with pytest.raises(BadRequest, match="half of them has 0 with their answer"):
        calibrate("papers", HERE, lost, Target(0.9))


def test_too_few_questions_are_refused() -> None:
    with pytest.raises(BadRequest, match="too few questions"):
        calibrate("papers", HERE, drawn(8), Target(0.9))


@pytest.mark.parametrize(
    "text", ["", "precision", "precision=0.2", "precision=1", "cost=1:2", "cost=0:1:0", "cost=1:1:2"]
)
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="is no target"):
        read_target(text)


@pytest.mark.parametrize("text", ["", "70:30", "0:1:1", "1:0:0", "a:b:c", "-1:1:1"])
def test_what_is_no_mix_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="is no mix"):
        read_mix(text)


def test_targets_and_mixes_are_read() -> None:
    assert str(read_target("precision=0.9")) == "precision=0.9"
    assert str(read_target("cost=5:1:0.2")) == "cost=5:1:0.2"
    assert read_mix("70:10:20") == pytest.approx((0.7, 0.1, 0.2))


def test_intervals_are_drawn_by_question() -> None:
    groups = np.repeat(np.arange(50), 2)
    values = np.repeat(np.random.default_rng(2).normal(size=50), 2)
    found = estimates(lambda chosen: {"mean": float(values[chosen].mean()), "none": float("nan")}, groups)
    assert set(found) == {"mean"}
    # Twins add nothing: the interval is that of fifty numbers, not of a hundred.
    assert found["mean"].high - found["mean"].low == pytest.approx(4 * values.std() / math.sqrt(50), rel=0.25)


def test_a_paired_comparison_sees_a_small_gain_that_all_queries_share() -> None:
    first = np.random.default_rng(5).random(60)
    gain, p = paired(first, first + 0.01 + 0.001 * np.random.default_rng(6).normal(size=60))
    assert gain.low > 0.005
    assert p < 0.001
    same, q = paired(first, first)
    assert (same.value, q) == (0.0, 1.0)


def test_the_key_changes_with_models_revisions_and_the_number_of_passages() -> None:
    embed, rerank = (
        ModelInfo("embed", "e5", "openvino", revision="a"),
        ModelInfo("rerank", "ce", "openvino", revision="b"),
    )
    keys = {
        scorers_of(models, top_k)
        for models, top_k in (
            ([embed, rerank], 8), ([embed, rerank], 4), ([embed], 8), ([replace(embed, revision="c"), rerank], 8),
            ([embed, replace(rerank, name="other")], 8),
        )
    }  # fmt: skip
    assert len(keys) == 5
    assert scorers_of([embed, rerank, ModelInfo("generate", "chat", "openvino")], 8) == scorers_of([rerank, embed], 8)


def test_a_curve_between_its_points_is_straight() -> None:
    curve = Calibration("papers", HERE, knots=[0.0, 2.0], levels=[0.2, 0.6])
    assert [curve.probability(x) for x in (-1.0, 0.0, 1.0, 2.0, 9.0)] == pytest.approx([0.2, 0.2, 0.4, 0.6, 0.6])
