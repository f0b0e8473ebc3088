"""How are vectors turned so that groups of their numbers tell equally much of them."""

from __future__ import annotations

import numpy as np

# Of the largest variance; below it a direction tells nothing.
LEAST = 1e-9


def balanced(sample: np.ndarray, groups: int) -> np.ndarray:
    """A rotation after which each group of neighbouring numbers has about the same product of variances.

    Vectors of language models have a few directions that vary a lot. Where each group gets one of those and some that
    hardly vary, the same codes lose least: recall@10 of 1,109 claims among 5,205 vectors of e5-small is 0.991 instead
    of 0.805 (96 groups, 128 candidates). The way is "eigenvalue allocation" of Ge, He, Ke and Sun 2013, Optimized
    Product Quantization.

    Args:
        sample: float32 [n, dim].
        groups: how many.

    Returns:
        float32 [dim, width], where ``width`` is the next multiple of ``groups``; what is added is zero.
    """
    spread = sample - sample.mean(axis=0)
    variances, directions = np.linalg.eigh((spread.T @ spread).astype(np.float64))
    order = _dealt(variances, groups)
    rotation = np.zeros((sample.shape[1], order.size), np.float32)
    is_real = order >= 0
    rotation[:, is_real] = directions[:, order[is_real]]
    return rotation


def _dealt(variances: np.ndarray, groups: int) -> np.ndarray:
    """Which direction is where, group after group; -1 where there is none. The largest go to the poorest group."""
    size = -(-len(variances) // groups)
    weights = np.log(np.maximum(variances / max(float(variances[-1]), 1e-30), LEAST)) - np.log(LEAST)
    hands: list[list[int]] = [[] for _ in range(groups)]
    sums = np.zeros(groups)
    for direction in reversed(range(len(variances))):
        poorest = int(np.argmin(sums))
        hands[poorest].append(direction)
        sums[poorest] = np.inf if len(hands[poorest]) == size else sums[poorest] + weights[direction]
    return np.array([place for hand in hands for place in hand + [-1] * (size - len(hand))])
