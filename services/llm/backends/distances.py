"""Which bucket does the distance between two tokens fall into."""

from __future__ import annotations

import math

import numpy as np

FARTHEST = 128


def buckets(num_buckets: int, longest: int) -> np.ndarray:
    """Buckets of all distances as T5 and MPNet count them: Raffel et al. 2019, section 2.1.

    Half of the buckets are for tokens that come later; of each half the first half has a distance each, the
    other half grow with the logarithm up to ``FARTHEST``.

    Args:
        num_buckets: of the model.
        longest: tokens of the longest text.

    Returns:
        int64 [2 * longest - 1]: the bucket of the distance ``i - (longest - 1)``.
    """
    distances = np.arange(1 - longest, longest)
    half = num_buckets // 2
    exact = half // 2
    size = np.abs(distances)
    # In float32 and in this order, as the models were trained: other roundings move a few distances.
    steps = np.log(np.maximum(size, 1).astype(np.float32) / np.float32(exact)) / np.float32(math.log(FARTHEST / exact))
    far = exact + (steps * np.float32(half - exact)).astype(np.int64)
    return np.where(distances > 0, half, 0) + np.where(size < exact, size, np.minimum(far, half - 1))
