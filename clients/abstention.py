"""How good is a decision to answer or abstain? Figures of probabilities against what was true, each in [n] arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .calibration import Estimate

NUM_BINS = 10
NUM_RESAMPLES = 500
SEED = 7


def auroc(above: np.ndarray, below: np.ndarray) -> float:
    """Probability that one of ``above`` is higher than one of ``below``; ties count half; NaN without either.

    Mann and Whitney's U by ranks.
    """
    if not len(above) or not len(below):
        return float("nan")
    _, place, counts = np.unique(np.concatenate([above, below]), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2.0)[place][: len(above)]
    return float((ranks.sum() - len(above) * (len(above) + 1) / 2.0) / (len(above) * len(below)))


def calibration_error(p: np.ndarray, is_right: np.ndarray, weights: np.ndarray) -> float:
    """Expected calibration error over ten bins of equal width (Guo et al. 2017), weighted; 0 is best."""
    bins = np.minimum((p * NUM_BINS).astype(int), NUM_BINS - 1)
    gaps = np.bincount(bins, weights * (p - is_right), NUM_BINS)
    return float(np.abs(gaps).sum() / weights.sum())


def brier(p: np.ndarray, is_right: np.ndarray, weights: np.ndarray) -> float:
    """Mean squared distance of the probability from what was true; 0 is best."""
    return float(np.average((p - is_right) ** 2, weights=weights))


def precision_at(threshold: float, p: np.ndarray, is_right: np.ndarray, weights: np.ndarray) -> float:
    """Share of the answers that are right when everything from the threshold on is answered; NaN when nothing is."""
    answered = p >= threshold
    total = weights[answered].sum()
    return float(weights[answered & is_right].sum() / total) if total else float("nan")


def abstention_at(threshold: float, p: np.ndarray, is_right: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Precision and recall of abstaining: of what was not answered the share that could not be, and the reverse."""
    left = p < threshold
    caught, given_up, wrong = (weights[m].sum() for m in (left & ~is_right, left, ~is_right))
    return (
        float(caught / given_up) if given_up else float("nan"),
        float(caught / wrong) if wrong else float("nan"),
    )


def coverage_at_precision(least: float, p: np.ndarray, is_right: np.ndarray, weights: np.ndarray) -> float:
    """The largest share of questions that can be answered with at least this precision; 0 when none can."""
    covered, precision = _curve(p, is_right, weights)
    return float(covered[precision >= least].max(initial=0.0))


def risk_coverage_area(p: np.ndarray, is_right: np.ndarray, weights: np.ndarray) -> float:
    """Area under the risk-coverage curve (Geifman and El-Yaniv 2017): mean share of wrong answers; 0 is best."""
    covered, precision = _curve(p, is_right, weights)
    return float(np.sum((1.0 - precision) * np.diff(covered, prepend=0.0)))


def _curve(p: np.ndarray, is_right: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coverage and precision [k] when the surest are answered first; equal probabilities go together."""
    order = np.argsort(-p, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(p[order]) != 0, True))
    answered = np.cumsum(weights[order])[ends]
    return answered / weights.sum(), np.cumsum((weights * is_right)[order])[ends] / answered


def estimates(
    measure: Callable[[np.ndarray], Mapping[str, float]], groups: np.ndarray, num_resamples: int = NUM_RESAMPLES
) -> dict[str, Estimate]:
    """Figures with 95 % intervals by the percentile bootstrap over groups, such as the cases of one question.

    Args:
        measure: figures by name for some cases, given as indices [k] with repetitions; NaN where there is none.
        groups: number of each case's group, int [n].
        num_resamples: how often to draw.
    """
    whole = measure(np.arange(len(groups)))
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    random = np.random.default_rng(SEED)
    drawn: dict[str, list[float]] = {name: [] for name in whole}
    for _ in range(num_resamples):
        chosen = random.integers(0, len(members), len(members))
        for name, value in measure(np.concatenate([members[i] for i in chosen])).items():
            if not np.isnan(value):
                drawn[name].append(value)
    return {
        name: Estimate(value, *(float(v) for v in np.quantile(drawn[name], [0.025, 0.975])))
        for name, value in whole.items()
        if not np.isnan(value) and drawn[name]
    }


def paired(first: np.ndarray, second: np.ndarray, num_resamples: int = 10_000) -> tuple[Estimate, float]:
    """How much ``second`` is above ``first`` on the same queries: mean difference with its interval, and p.

    Paired bootstrap over queries (Sakai 2006); p is the two-sided share of resampled means on the other side of 0.

    Args:
        first: a figure of each query, float [n].
        second: the same queries in the same order.
        num_resamples: how often to draw.
    """
    gains = second - first
    random = np.random.default_rng(SEED)
    means = gains[random.integers(0, len(gains), (num_resamples, len(gains)))].mean(axis=1)
    low, high = (float(v) for v in np.quantile(means, [0.025, 0.975]))
    tail = min(float((means <= 0).mean()), float((means >= 0).mean()))
    return Estimate(float(gains.mean()), low, high), min(1.0, 2.0 * tail)
