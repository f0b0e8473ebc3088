"""Which of the candidates score high enough?"""

from __future__ import annotations

import math
from collections.abc import Mapping

from clients.errors import BadRequest

from .fusion import Signals

NOTHING = "passages were found, and none scores as high as at_least asks"
SIGNALS = ("dense", "keyword", "rerank")


def check_floors(at_least: Mapping[str, float]) -> None:
    """BadRequest unless each floor is a number and belongs to a score that searches give."""
    for name, floor in at_least.items():
        if name not in SIGNALS:
            raise BadRequest(f"at_least: there is no score '{name}'", help=f"the scores are {', '.join(SIGNALS)}")
        if not math.isfinite(floor):
            raise BadRequest(f"at_least: {name} is not a number")


def above(order: dict[str, float], signals: Signals, at_least: Mapping[str, float]) -> dict[str, float]:
    """The candidates that reach every floor, in the order they have.

    A candidate without a score that others have does not reach its floor. A score that none has, because a part of the
    search was left out, keeps nobody away; `told` says so.
    """
    for name, floor in at_least.items():
        if scores := signals.get(name):
            order = {id_: score for id_, score in order.items() if scores.get(id_, -math.inf) >= floor}
    return order


def told(order: Mapping[str, float], signals: Signals, at_least: Mapping[str, float]) -> list[str]:
    """Notes on floors that limited nothing because their score is missing, and on floors that nothing reaches."""
    notes = [f"at_least: this search has no score '{name}'" for name in at_least if name not in signals]
    is_above_all = at_least and not order and any(signals.values())
    return [*notes, NOTHING] if is_above_all else notes
