"""A benchmark says PASS and FAIL rightly, and nothing when the machine was too restless."""

from __future__ import annotations

import pytest

from benchmarks.rigs.report import judged
from benchmarks.rigs.rig import Sample
from benchmarks.rigs.rounds import Rounds
from benchmarks.rigs.targets import TARGETS, Result, Target

STEADY = {"time": 1.2, "processor": 1.2}
LESS = Target("A", "cost", gate=3.0, stretch=2.0)
MORE = Target("B", "gain", gate=2.0, stretch=5.0, more_is_better=True)


@pytest.mark.parametrize(
    ("target", "figure", "verdict"),
    [
        (LESS, 3.1, "FAIL"), (LESS, 3.0, "PASS"), (LESS, 2.0, "PASS, stretch too"),
        (MORE, 1.9, "FAIL"), (MORE, 2.0, "PASS"), (MORE, 5.0, "PASS, stretch too"),
    ],
)  # fmt: skip
def test_a_gate_is_met_from_its_own_side(target: Target, figure: float, verdict: str) -> None:
    assert target.verdict(figure) == verdict


def test_a_target_is_judged_by_the_figure_that_it_names() -> None:
    results = {"T1": Result("T1", time=99.0, processor=2.5), "T3": Result("T3", time=99.0, processor=1.0)}
    verdicts = {target.name: verdict for target, _, verdict in judged(results, STEADY)}
    assert (verdicts["T1"], verdicts["T3"], verdicts["T5"]) == ("PASS", "FAIL", "not measured")
    assert len(verdicts) == len(TARGETS)


def test_ratios_are_not_judged_when_the_baseline_varies_too_much() -> None:
    results = {"T1": Result("T1", processor=9.0), "T3": Result("T3", time=9.0), "T14": Result("T14", time=9.0)}
    verdicts = {target.name: verdict for target, _, verdict in judged(results, {"time": 2.1, "processor": 1.9})}
    assert verdicts["T3"].startswith("not judged")
    assert (verdicts["T1"], verdicts["T14"]) == ("FAIL", "FAIL")


def test_rounds_are_compared_one_by_one_before_the_median_is_taken() -> None:
    def samples(*seconds: float) -> list[Sample]:
        return [Sample(1, one, {"client": one}) for one in seconds]

    rounds = Rounds({("a", "case"): samples(2, 20, 200), ("b", "case"): samples(1, 10, 50)})
    assert rounds.ratio("a", "b", "case", lambda sample: sample.time_us) == 2.0
    assert rounds.ratio("a", "c", "case", lambda sample: sample.time_us) is None
    assert rounds.spread("b", ["case"], lambda sample: sample.time_us) == 50.0
