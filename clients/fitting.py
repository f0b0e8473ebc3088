"""How evidence becomes a probability and two thresholds: fitted on questions whose answers are known to be there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .abstention import (
    abstention_at,
    auroc,
    brier,
    calibration_error,
    estimates,
    precision_at,
)
from .calibration import Calibration, Quality, Scorers, Source
from .errors import BadRequest

Kind = Literal["answerable", "hard", "easy"]
KINDS: tuple[Kind, ...] = ("answerable", "hard", "easy")
# Seven questions in ten have their answer; of the others two are about something else and one nearly fits.
DEFAULT_MIX = (0.7, 0.1, 0.2)
ISOTONIC_FROM = 1000
ABSTENTION_PRECISION = 0.9
MIN_COVERAGE = 0.1  # a threshold that hardly ever answers is measured on too few questions to be believed
MIN_QUESTIONS = 20
SEED = 7


@dataclass(frozen=True, slots=True)
class Case:
    """A question asked of a view of the collection.

    Attributes:
        question: its number; a question and the same one without its documents share it.
        kind: asked as it is, with its documents left out of the view, or of another collection.
        evidence: log-odds, as ``clients.decision.evidence`` reads them.
        before: the confidence without a calibration.
        is_found: whether a document that answers it was among the passages found.
    """

    question: int
    kind: Kind
    evidence: float
    before: float
    is_found: bool

    @property
    def is_right(self) -> bool:
        """Whether an answer from these passages could be right."""
        return self.kind == "answerable" and self.is_found


@dataclass(frozen=True, slots=True)
class Target:
    """What the thresholds are chosen for: a precision of the answers, or the costs of what can go wrong.

    Attributes:
        precision: of the answers; 0 with a cost model.
        wrong, refusal, search: costs of a wrong answer, a needless refusal and a second search.
    """

    precision: float = 0.95
    wrong: float = 0.0
    refusal: float = 0.0
    search: float = 0.0

    def __str__(self) -> str:
        if self.precision:
            return f"precision={self.precision:g}"
        return f"cost={self.wrong:g}:{self.refusal:g}:{self.search:g}"


def read_target(text: str) -> Target:
    """``precision=0.95`` or ``cost=WRONG:REFUSAL:SEARCH``; BadRequest for anything else."""
    name, _, value = text.partition("=")
    try:
        numbers = [float(part) for part in value.split(":")]
    except ValueError:
        numbers = []
    if name == "precision" and len(numbers) == 1 and 0.5 <= numbers[0] < 1:
        return Target(numbers[0])
    if name == "cost" and len(numbers) == 3 and min(numbers[:2]) > 0 and 0 <= numbers[2] < numbers[1]:
        return Target(0.0, *numbers)
    raise BadRequest(
        f"{text!r} is no target",
        help="precision=0.95 (0.5 to below 1), or cost=5:1:0.2 (a wrong answer, a needless refusal, a second search)",
    )


def read_mix(text: str) -> tuple[float, float, float]:
    """Shares of answerable, hard and easy questions from ``70:10:20``; BadRequest for anything else."""
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        parts = []
    if len(parts) != len(KINDS) or min(parts) < 0 or not parts[0] or not sum(parts[1:]):
        raise BadRequest(f"{text!r} is no mix", help="answerable:hard:easy, such as 70:10:20")
    total = sum(parts)
    return parts[0] / total, parts[1] / total, parts[2] / total


def calibrate(
    collection: str,
    scorers: Scorers,
    cases: Sequence[Case],
    target: Target,
    source: Source = "labelled",
    mix: Sequence[float] = DEFAULT_MIX,
) -> Calibration:
    """Fit on one half of the questions, and report on the other.

    Raises:
        BadRequest: too few questions, or none of some kind.
    """
    fit_half, held_out = _halves(cases)
    for half in (fit_half, held_out):
        _demand_enough(half)
    curve = _fitted(Calibration(collection, scorers, source=source, target=str(target), mix=list(mix)), fit_half)
    low, high, is_reached = thresholds(curve, fit_half, target)
    chosen = replace(curve, t_low=low, t_high=high, is_reached=is_reached)
    return replace(chosen, quality=quality(chosen, held_out))


def _halves(cases: Sequence[Case]) -> tuple[list[Case], list[Case]]:
    """Both versions of a question go to the same half."""
    numbers = np.unique([case.question for case in cases])
    first = set(np.random.default_rng(SEED).permutation(numbers)[: len(numbers) // 2].tolist())
    return [c for c in cases if c.question in first], [c for c in cases if c.question not in first]


def _demand_enough(half: Sequence[Case]) -> None:
    num_right = sum(case.is_right for case in half)
    if min(num_right, len(half) - num_right) < MIN_QUESTIONS // 2:
        raise BadRequest(
            f"too few questions: half of them has {num_right} with their answer among the passages found and "
            f"{len(half) - num_right} without",
            help=f"give {MIN_QUESTIONS} questions with documents of the collection at least; 100 are better",
        )


def weights_of(cases: Sequence[Case], mix: Sequence[float]) -> np.ndarray:
    """A weight for each case, float64 [n], so that each kind has its share."""
    counts = Counter(case.kind for case in cases)
    shares = dict(zip(KINDS, mix, strict=True))
    return np.array([shares[case.kind] * len(cases) / counts[case.kind] for case in cases])


def _fitted(empty: Calibration, cases: Sequence[Case]) -> Calibration:
    x = np.array([case.evidence for case in cases])
    y = np.array([case.is_right for case in cases], float)
    weights = weights_of(cases, empty.mix)
    if len(cases) >= ISOTONIC_FROM:
        knots, levels = isotonic(x, y, weights)
        return replace(empty, knots=knots, levels=levels)
    slope, intercept = platt(x, y, weights)
    return replace(empty, slope=slope, intercept=intercept)


def platt(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of the logistic curve with the best weighted likelihood, the slope not below 0.

    Targets are smoothed as Platt (1999) has it, so that questions that separate perfectly leave it finite. Newton's
    method with steps that are halved until they help.
    """
    above, below = weights[y > 0].sum(), weights[y == 0].sum()
    wanted = np.where(y > 0, (above + 1) / (above + 2), 1 / (below + 2))
    columns = np.column_stack([x, np.ones_like(x)])
    beta = np.array([0.0, np.log((above + 1) / (below + 1))])
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(columns @ beta, -500, 500)))
        slope = columns.T @ (weights * (p - wanted))
        bend = (columns * (weights * p * (1 - p))[:, None]).T @ columns + 1e-9 * np.eye(2)
        step = np.linalg.solve(bend, slope)
        size = 1.0
        while size > 1e-6 and _loss(columns @ (beta - size * step), wanted, weights) > _loss(
            columns @ beta, wanted, weights
        ):
            size /= 2
        beta = beta - size * step
        if np.abs(size * step).max() < 1e-8:
            break
    if beta[0] < 0:
        return 0.0, float(np.log((above + 1) / (below + 1)))
    return float(beta[0]), float(beta[1])


def _loss(log_odds: np.ndarray, wanted: np.ndarray, weights: np.ndarray) -> float:
    return float(np.sum(weights * (np.logaddexp(0, log_odds) - wanted * log_odds)))


def isotonic(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[list[float], list[float]]:
    """Points of the best curve that never falls: pool adjacent violators (Ayer et al. 1955), a point per pool."""
    pools: list[_Pool] = []
    for value in np.unique(x):
        here = x == value
        pools.append(_Pool(float(weights[here].sum()), float((weights * y)[here].sum()), float(value), float(value)))
        while len(pools) > 1 and pools[-2].level >= pools[-1].level:
            last = pools.pop()
            pools[-1] = pools[-1].with_(last)
    return [(pool.first + pool.last) / 2 for pool in pools], [pool.level for pool in pools]


@dataclass(frozen=True, slots=True)
class _Pool:
    """Neighbours that share a level: their weight, the weight of the right ones, and the evidence they span."""

    weight: float
    right: float
    first: float
    last: float

    @property
    def level(self) -> float:
        return self.right / self.weight

    def with_(self, other: _Pool) -> _Pool:
        return _Pool(self.weight + other.weight, self.right + other.right, self.first, other.last)


def thresholds(curve: Calibration, cases: Sequence[Case], target: Target) -> tuple[float, float, bool]:
    """t_low, t_high, and whether the target was reached.

    With costs, Chow's rule (1970): answer when the expected cost of a wrong answer is below that of a refusal,
    and search again while that costs less than the refusal it may save. With a precision: the lowest threshold
    that has it, and below it the highest under which nine in ten questions have no answer.
    """
    if not target.precision:
        high = target.wrong / (target.wrong + target.refusal)
        return min(target.search / target.refusal, 0.9 * high), high, True
    p, is_right, weights = _arrays(curve, cases)
    steps = np.unique(p)
    enough = [t for t in steps if weights[(p >= t) & is_right].sum() >= MIN_COVERAGE * weights[is_right].sum()]
    by_precision = {float(t): precision_at(float(t), p, is_right, weights) for t in enough}
    reached = [t for t, precision in by_precision.items() if precision >= target.precision]
    high = min(reached) if reached else max(by_precision, key=lambda t: (by_precision[t], -t))
    hopeless = [t for t in steps if t < high and abstention_at(t, p, is_right, weights)[0] >= ABSTENTION_PRECISION]
    low = min(float(max(hopeless, default=0.0)), 0.9 * high)
    return low, max(high, 1e-6), bool(reached)


def _arrays(curve: Calibration, cases: Sequence[Case]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    p = np.array([curve.probability(case.evidence) for case in cases])
    return p, np.array([case.is_right for case in cases]), weights_of(cases, curve.mix)


def quality(calibration: Calibration, cases: Sequence[Case]) -> Quality:
    """Figures of cases that took no part in the fit, with their intervals."""
    p, is_right, weights = _arrays(calibration, cases)
    before = np.array([case.before for case in cases])
    evidence = np.array([case.evidence for case in cases])
    kinds = np.array([case.kind for case in cases])
    high = calibration.t_high

    def measure(chosen: np.ndarray) -> Mapping[str, float]:
        ours = p[chosen], is_right[chosen], weights[chosen]
        by_kind = {kind: evidence[chosen][kinds[chosen] == kind] for kind in KINDS}
        answered = p[chosen] >= high
        abstained = abstention_at(high, *ours)
        asked = kinds[chosen] == "answerable"
        return {
            "auroc_easy": auroc(by_kind["answerable"], by_kind["easy"]),
            "auroc_hard": auroc(by_kind["answerable"], by_kind["hard"]),
            "ece_before": calibration_error(before[chosen], *ours[1:]),
            "ece_after": calibration_error(*ours),
            "brier_before": brier(before[chosen], *ours[1:]),
            "brier_after": brier(*ours),
            "precision": precision_at(high, *ours),
            "coverage": float(answered[asked].mean()) if asked.any() else float("nan"),
            "coverage_all": float(np.average(answered, weights=ours[2])),
            "abstention_precision": abstained[0],
            "abstention_recall": abstained[1],
        }

    counts = Counter(case.kind for case in cases)
    groups = np.array([case.question for case in cases])
    return Quality(
        len(np.unique(groups)), counts["answerable"], counts["hard"], counts["easy"], estimates(measure, groups)
    )
