"""In which order do several signals put chunks together."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

MIN_SPREAD = 1e-9
Signals = Mapping[str, Mapping[str, float]]


def fuse(signals: Signals) -> dict[str, float]:
    """Sum of z-scores per id, over the ids that any signal has.

    Measured on whole SciFact abstracts with MiniLM vectors, nDCG@10: BM25 0.690, vectors 0.648,
    reciprocal rank fusion 0.714, z-scores 0.734, and 0.743 when each signal scores the other's
    candidates too, as `services.index.search` makes sure.

    Args:
        signals: scores by id, by signal name, higher is better; an id that a signal lacks counts as
            its lowest.

    Returns:
        Fused scores by id, best first; only their order and distances mean something.
    """
    ids = dict.fromkeys(id_ for scores in signals.values() for id_ in scores)
    fused = dict.fromkeys(ids, 0.0)
    for scores in filter(None, signals.values()):
        lowest = min(scores.values())
        filled = np.array([scores.get(id_, lowest) for id_ in ids])
        spread = float(filled.std())
        # Equal scores differ by rounding only, which must not be blown up to an opinion.
        normal = (filled - filled.mean()) / (spread if spread > MIN_SPREAD else 1.0)
        for id_, score in zip(ids, normal.tolist(), strict=True):
            fused[id_] += score
    return best_first(fused)


def refine(order: Mapping[str, float], signals: Signals, chosen: Collection[str]) -> dict[str, float]:
    """Order the chosen ones among themselves by all signals; the others follow as they were.

    Args:
        order: scores of all candidates, best first.
        signals: with one that only the chosen ones have.
        chosen: the first of the candidates.
    """
    inner = {name: {id_: scores[id_] for id_ in chosen if id_ in scores} for name, scores in signals.items()}
    refined = fuse(inner)
    rest = {id_: score for id_, score in order.items() if id_ not in refined}
    lowered = min(0.0, min(refined.values(), default=0.0) - max(rest.values(), default=0.0))
    return refined | {id_: score + lowered for id_, score in rest.items()}


def best_first(scores: Mapping[str, float]) -> dict[str, float]:
    """The scores in falling order; equal ones stay as they are."""
    return dict(sorted(scores.items(), key=lambda pair: -pair[1]))


def ranks(scores: Mapping[str, float]) -> dict[str, int]:
    """1-based rank of each id."""
    return {id_: rank for rank, id_ in enumerate(best_first(scores), 1)}
