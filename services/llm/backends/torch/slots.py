"""Where do the keys and values of the texts lie that are being written."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from .attention import attend_one
from .decoder import Decoder
from .device import Place


class Slots:
    """Memory for several texts, a slot for each, with a cell for each token.

    The last cell is nobody's: a step that runs over a slot without a text writes there.

    Args:
        decoder: whose keys and values they are.
        number: of slots.
        num_tokens: longest text of a slot.
    """

    def __init__(self, decoder: Decoder, number: int, num_tokens: int) -> None:
        self.number = number
        self.num_tokens = num_tokens
        shape = (decoder.num_layers, number, decoder.key_heads, num_tokens + 1, decoder.head_width)
        self.keys, self.values = (_zeros(shape, decoder.place) for _ in range(2))

    @property
    def spare_cell(self) -> int:
        """The cell that is nobody's."""
        return self.num_tokens

    def copy(self, source: int, target: int, num_tokens: int) -> None:
        """The beginning of one slot's text to another slot."""
        for cells in (self.keys, self.values):
            cells[:, target, :, :num_tokens] = cells[:, source, :, :num_tokens]

    def reorder(self, sources: list[int], num_tokens: int) -> None:
        """Slot i goes on with what slot ``sources[i]`` held."""
        for cells in (self.keys, self.values):
            cells[:, : len(sources), :, :num_tokens] = cells[:, sources, :, :num_tokens]


class Reading:
    """A part of one text is read: it sees itself and what its slot holds before it.

    Args:
        slots: the memory.
        slot: of the text.
        start: tokens that the slot holds already.
    """

    def __init__(self, slots: Slots, slot: int, start: int) -> None:
        self._slots, self._slot, self._start = slots, slot, start

    def attend(self, layer: int, query: Any, key: Any, value: Any) -> Any:
        """Remember the keys and values, and attend to all of the text so far."""
        end = self._start + len(key)
        keys, values = self._slots.keys[layer, self._slot], self._slots.values[layer, self._slot]
        keys[:, self._start : end] = key.transpose(0, 1)
        values[:, self._start : end] = value.transpose(0, 1)
        return attend_one(query, keys[:, :end].transpose(0, 1), values[:, :end].transpose(0, 1), is_causal=True)


class Writing:
    """Each of the first n slots gets one more token; all shapes are the same at every step.

    Args:
        slots: the memory.
        cells: int64 [n] on the device, where each slot's token goes.
        window: cells that are looked at; more than any of ``cells``, but for the spare one.
    """

    def __init__(self, slots: Slots, cells: Any, window: int) -> None:
        self._slots, self._cells, self._window = slots, cells, window
        self._rows = torch.arange(len(cells), device=cells.device)
        seen = torch.arange(window, device=cells.device) <= cells[:, None]
        bias = torch.zeros(seen.shape, dtype=slots.keys.dtype, device=cells.device)
        self._bias = bias.masked_fill(~seen, float("-inf"))[:, None, None]

    def attend(self, layer: int, query: Any, key: Any, value: Any) -> Any:
        """Remember the keys and values, and attend to each slot's own cells."""
        count, heads, width = query.shape
        keys, values = self._slots.keys[layer], self._slots.values[layer]
        keys[self._rows, :, self._cells] = key
        values[self._rows, :, self._cells] = value
        # Query heads that share a key head are rows of one small matrix: nothing need be copied for them.
        grouped = query.view(count, key.shape[1], -1, width)
        mixed = scaled_dot_product_attention(
            grouped, keys[:count, :, : self._window], values[:count, :, : self._window],
            attn_mask=self._bias.expand(-1, key.shape[1], grouped.shape[2], -1),
        )  # fmt: skip
        return mixed.reshape(count, heads, width)


def slot_bytes(decoder: Decoder, num_tokens: int) -> int:
    """Memory of one slot."""
    cells = 2 * decoder.num_layers * decoder.key_heads * (num_tokens + 1)
    return cells * decoder.head_width * int(decoder.place.dtype.itemsize)


def _zeros(shape: tuple[int, ...], place: Place) -> Any:
    """Zeros: a cell that was never written must not be NaN, or it would spoil the sum it weighs nothing in."""
    if place.is_cuda:
        found = torch.zeros(shape, dtype=place.dtype, device=place.device)
        place.settle()
        return found
    # numpy's zeros take no memory before they are written; torch's do.
    whole = np.int16 if place.dtype.itemsize == np.dtype(np.int16).itemsize else np.int32
    return torch.from_numpy(np.zeros(shape, whole)).view(place.dtype)
