"""Which routes do questions take that are known to be answerable, and the same ones without their documents?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from clients.abstention import coverage_at_precision, estimates, risk_coverage_area
from clients.answers import Route
from clients.calibration import Estimate
from clients.evaluation import Labelled
from clients.looking import Look, Looking
from clients.mesh import Ragq

from .controls import Asked, asked, in_flight

FIXED_PRECISION = 0.95


@dataclass(frozen=True, slots=True)
class Decided:
    """The decision on a test set.

    Attributes:
        routes: how many questions took each route, by ``answerable`` and ``removed`` (their documents left out).
        figures: ``abstention_precision``, ``abstention_recall``, ``answer_precision``, ``coverage``,
            ``coverage_at_0.95`` (answers with that precision) and ``risk_coverage_area``, as many questions of
            either kind; an answer is right when a relevant document is among its passages.
    """

    calibrated: bool
    t_low: float
    t_high: float
    routes: dict[str, dict[str, int]]
    figures: dict[str, Estimate]


def decided(mesh: Ragq, collection: str, labelled: Sequence[Labelled]) -> Decided:
    """Ask every question as ``ask`` does, and again as if its documents were missing."""
    questions = asked(mesh, collection, labelled)
    gate, _ = Looking(mesh.llm, mesh.index, mesh.config.ask, collection).gate()

    def look(item: tuple[Asked, bool]) -> Look:
        one, is_removed = item
        looking = Looking(mesh.llm, mesh.index, mesh.config.ask, collection)
        return looking.look(one.question, gate, sorted(one.gold) if is_removed else ())

    plan = [(one, is_removed) for one in questions for is_removed in (False, True)]
    looks = in_flight(look, plan, "questions")
    routes = {
        name: {route: counts[route] for route in get_args(Route)}
        for name, counts in (
            ("answerable", Counter(one.decision.route for one in looks[::2])),
            ("removed", Counter(one.decision.route for one in looks[1::2])),
        )
    }
    is_right = np.array([_is_right(*item, found) for item, found in zip(plan, looks, strict=True)])
    return Decided(
        gate.calibration is not None, gate.low, gate.high, routes, figures(looks, is_right, np.arange(len(looks)) // 2)
    )


def _is_right(one: Asked, is_removed: bool, look: Look) -> bool:
    return not is_removed and any(hit.document_id in one.gold for hit in look.hits.hits)


def figures(looks: Sequence[Look], is_right: np.ndarray, groups: np.ndarray) -> dict[str, Estimate]:
    """The figures that `Decided` names.

    Args:
        looks: what was decided for each case.
        is_right: whether an answer is right there, bool [n].
        groups: number of each case's question, int [n].
    """
    p = np.array([look.decision.confidence for look in looks])
    is_left = np.array([look.decision.route == "absent" for look in looks])

    def measure(chosen: np.ndarray) -> Mapping[str, float]:
        left, right, weights = is_left[chosen], is_right[chosen], np.ones(len(chosen))
        return {
            "abstention_precision": _share(~right, left),
            "abstention_recall": _share(left, ~right),
            "answer_precision": _share(right, ~left),
            "coverage": float((~left).mean()),
            f"coverage_at_{FIXED_PRECISION:g}": coverage_at_precision(FIXED_PRECISION, p[chosen], right, weights),
            "risk_coverage_area": risk_coverage_area(p[chosen], right, weights),
        }

    return estimates(measure, groups)


def _share(wanted: np.ndarray, among: np.ndarray) -> float:
    return float(wanted[among].mean()) if among.any() else float("nan")
