"""How do several packed texts look back at themselves, and at a beginning that they share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import torch

from .attention import Spans, attend
from .device import Place


class Alone:
    """Each text sees itself."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans

    def attend(self, layer: int, query: Any, key: Any, value: Any) -> Any:
        """Causal attention within each text."""
        return attend(query, key, value, self._spans, self._spans, is_causal=True)


class Beginning:
    """Keys and values of a beginning, a pair of [tokens, key heads, width] for each layer."""

    def __init__(self) -> None:
        self.layers: list[tuple[Any, Any]] = []


class Shared:
    """Each text sees a beginning and itself, but no other text.

    One pass does it all: keys are gathered as [beginning ; own] for every text. When the beginning is new, it
    goes first through the same pass, as a text of its own, and ``beginning`` takes what it leaves.

    Args:
        num_shared: tokens of the beginning.
        lengths: of the texts, without the beginning.
        beginning: filled, or empty when the pass begins with the beginning's own tokens.
        place: where the pass runs.
    """

    def __init__(self, num_shared: int, lengths: Sequence[int], beginning: Beginning, place: Place) -> None:
        self._num_shared = num_shared
        self._beginning = beginning
        self._is_new = not beginning.layers
        parts = _gathered(num_shared, lengths)
        own = list(lengths)
        if self._is_new:
            parts, own = [np.arange(num_shared), *parts], [num_shared, *own]
        self._rows = place.send(np.concatenate(parts).astype(np.int64))
        self.spans = Spans.of(own, place)
        self._keys = Spans.of([len(part) for part in parts], place)

    def attend(self, layer: int, query: Any, key: Any, value: Any) -> Any:
        """Causal attention of each text to the beginning and to itself."""
        if self._is_new:
            # Cloned: a view would keep the keys of every document alive.
            self._beginning.layers.append((key[: self._num_shared].clone(), value[: self._num_shared].clone()))
        else:
            first_key, first_value = self._beginning.layers[layer]
            key, value = torch.cat([first_key, key]), torch.cat([first_value, value])
        return attend(query, key[self._rows], value[self._rows], self.spans, self._keys, is_causal=True)


def _gathered(num_shared: int, lengths: Sequence[int]) -> list[np.ndarray]:
    """For each text the rows of the beginning and its own behind it."""
    bounds = accumulate(lengths, initial=num_shared)
    return [np.concatenate([np.arange(num_shared), np.arange(first, last)]) for first, last in pairwise(bounds)]
