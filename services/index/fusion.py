"""In which order do several signals put chunks together."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean, pstdev

Signals = Mapping[str, Mapping[str, float]]
RRF_K = 60


def fuse(signals: Signals) -> dict[str, float]:
    """Sum of z-scores per id; an id that a signal lacks has that signal's lowest score.

    Args:
        signals: scores by id, by signal name; higher is better in each.

    Returns:
        Fused scores by id, best first.
    """
    ids = dict.fromkeys(id_ for scores in signals.values() for id_ in scores)
    fused = dict.fromkeys(ids, 0.0)
    for scores in signals.values():
        if not scores:
            continue
        lowest = min(scores.values())
        filled = [scores.get(id_, lowest) for id_ in ids]
        mean, spread = fmean(filled), pstdev(filled) or 1.0
        for id_, score in zip(ids, filled, strict=True):
            fused[id_] += (score - mean) / spread
    return dict(sorted(fused.items(), key=lambda pair: -pair[1]))


def ranks(scores: Mapping[str, float]) -> dict[str, int]:
    """1-based rank of each id."""
    order = sorted(scores, key=lambda id_: -scores[id_])
    return {id_: rank for rank, id_ in enumerate(order, 1)}
