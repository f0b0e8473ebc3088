"""What may come next, by the logits of an OpenVINO graph that keeps its keys and values in a state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from services.service import Call

PREFILL_TOKENS = 256


class StatefulReader:
    """Reads one prompt and its continuations.

    Args:
        compiled: a graph with input_ids, attention_mask, position_ids and beam_idx.
        call: looked at between the parts of a prompt.
    """

    def __init__(self, compiled: Any, call: Call) -> None:
        self._request = compiled.create_infer_request()
        self._call = call
        self._num_read = 0

    def read(self, prompt: Sequence[int]) -> np.ndarray:
        """Logits float32 [vocabulary] after the prompt."""
        ids = np.array(prompt, np.int64)[None, :]
        last = (len(prompt) - 1) // PREFILL_TOKENS * PREFILL_TOKENS
        for start in range(0, last, PREFILL_TOKENS):
            self._call.check()
            self._run(ids[:, start : start + PREFILL_TOKENS], np.zeros(1, np.int32))
        row: np.ndarray = self._run(ids[:, last:], np.zeros(1, np.int32))[0]
        return row

    def expand(self, parents: Sequence[int], tokens: Sequence[int]) -> np.ndarray:
        """Logits float32 [n, vocabulary]."""
        return self._run(np.array(tokens, np.int64)[:, None], np.array(parents, np.int32))

    def _run(self, ids: np.ndarray, parents: np.ndarray) -> np.ndarray:
        rows, width = ids.shape
        positions = np.arange(self._num_read, self._num_read + width, dtype=np.int64)
        self._num_read += width
        self._request.infer({
            "input_ids": ids,
            "attention_mask": np.ones((rows, self._num_read), np.int64),
            "position_ids": np.tile(positions, (rows, 1)),
            "beam_idx": parents,
        })  # fmt: skip
        logits: np.ndarray = self._request.get_tensor("logits").data[:, -1].copy()
        return logits
