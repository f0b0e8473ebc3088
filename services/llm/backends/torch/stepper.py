"""How does a causal model read a prompt into a slot, and write one token in each of several slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from .decoder import Decoder
from .slots import Reading, Slots, Writing

# Steps look at so many cells, or at twice, four times ... so many: few shapes, and little that is not needed.
LEAST_WINDOW = 256


class Stepper:
    """A causal model and the slots it writes in.

    Args:
        decoder: the model.
        slots: its memory.
    """

    def __init__(self, decoder: Decoder, slots: Slots) -> None:
        self.decoder, self.slots = decoder, slots

    def read(self, slot: int, ids: Sequence[int], start: int) -> Any:
        """Read a part of a prompt.

        Args:
            slot: where the prompt goes.
            ids: the part.
            start: tokens of the prompt that the slot holds already.

        Returns:
            Logits float32 [vocabulary] after the part, on the device.
        """
        place = self.decoder.place
        tokens = place.send(np.array(ids, np.int64))
        places = place.send(np.arange(start, start + len(ids), dtype=np.int64))
        vectors = self.decoder.forward(tokens, places, Reading(self.slots, slot, start))
        return self.decoder.logits(vectors[-1:])[0]

    def write(self, newest: Mapping[int, tuple[int, int]]) -> Any:
        """Feed each of some slots its newest token.

        Args:
            newest: by slot, the token and its position.

        Returns:
            Logits float32 [n, vocabulary] on the device; row i belongs to slot i, rows of other slots mean nothing.
        """
        count = self._rounded(max(newest) + 1)
        tokens, cells = np.zeros(count, np.int64), np.full(count, self.slots.spare_cell, np.int64)
        for slot, (token, cell) in newest.items():
            tokens[slot], cells[slot] = token, cell
        return self._step(tokens, cells, self._window(max(cell for _, cell in newest.values()) + 1))

    def _rounded(self, count: int) -> int:
        """Slots that a step runs over, when ``count`` are needed."""
        return count

    def _window(self, needed: int) -> int:
        window = LEAST_WINDOW
        while window < needed:
            window *= 2
        return min(window, self.slots.spare_cell + 1)

    def _step(self, tokens: np.ndarray, cells: np.ndarray, window: int) -> Any:
        place = self.decoder.place
        return self._logits(place.send(tokens), place.send(cells), window)

    def _logits(self, tokens: Any, cells: Any, window: int) -> Any:
        places = cells.clamp(max=self.slots.num_tokens - 1)
        return self.decoder.logits(self.decoder.forward(tokens, places, Writing(self.slots, cells, window)))


class GraphStepper(Stepper):
    """Replays CUDA graphs: a step costs one launch instead of hundreds.

    A graph is captured for each number of slots (1, 2, 4 ...) and each window when it first occurs.
    """

    def __init__(self, decoder: Decoder, slots: Slots) -> None:
        super().__init__(decoder, slots)
        self._graphs: dict[tuple[int, int], tuple[Any, Any, Any, Any]] = {}
        self._pool: Any = None

    def _rounded(self, count: int) -> int:
        power = 1 << (count - 1).bit_length()
        return min(power, self.slots.number)

    def _step(self, tokens: np.ndarray, cells: np.ndarray, window: int) -> Any:
        shape = (len(tokens), window)
        if shape not in self._graphs:
            self._graphs[shape] = self._captured(tokens, cells, window)
        graph, static_tokens, static_cells, logits = self._graphs[shape]
        place = self.decoder.place
        static_tokens.copy_(place.send(tokens))
        static_cells.copy_(place.send(cells))
        graph.replay()
        return logits

    def _captured(self, tokens: np.ndarray, cells: np.ndarray, window: int) -> tuple[Any, Any, Any, Any]:
        """The graph, its inputs and its output. Writing the same cells again does no harm, so it warms up on them."""
        place = self.decoder.place
        inputs = place.send(tokens).clone(), place.send(cells).clone()
        for _ in range(2):
            self._logits(*inputs, window)
        torch.cuda.synchronize(place.device)
        graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.current_stream(place.device)
        # Only this thread is watched: another model's thread may allocate meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"):
            logits = self._logits(*inputs, window)
        self._pool = self._pool or graph.pool()
        return graph, *inputs, logits


def stepper(decoder: Decoder, slots: Slots, *, has_graphs: bool) -> Stepper:
    """The stepper for a device; graphs only on a GPU."""
    return GraphStepper(decoder, slots) if has_graphs and decoder.place.is_cuda else Stepper(decoder, slots)
