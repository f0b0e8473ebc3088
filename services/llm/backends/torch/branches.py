"""How does a beam search read its beams: each in a slot of its own, in memory of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from clients.llm import Generate

from .decoder import Decoder
from .passes import Passes
from .slots import Slots, slot_bytes
from .stepper import Stepper


class Branches:
    """The reader of one beam search; runs beside the answers that are being written.

    Args:
        decoder: the model.
        passes: where its passes run.
        request: its beams and max_tokens.
        num_prompt: tokens of the prompt.

    Raises:
        TooLarge: the beams do not fit the device.
    """

    def __init__(self, decoder: Decoder, passes: Passes, request: Generate, num_prompt: int) -> None:
        num_tokens = num_prompt + request.max_tokens
        decoder.place.check_fits(request.beams * slot_bytes(decoder, num_tokens), f"a search of {request.beams} beams")
        self._stepper = Stepper(decoder, Slots(decoder, request.beams, num_tokens))
        self._passes = passes
        self._num_read = 0

    def read(self, prompt: Sequence[int]) -> np.ndarray:
        """Logits float32 [vocabulary] after the prompt."""
        self._num_read = len(prompt)
        return self._fetched(lambda: self._stepper.read(0, prompt, 0))

    def expand(self, parents: Sequence[int], tokens: Sequence[int]) -> np.ndarray:
        """Logits float32 [n, vocabulary] after continuations of earlier ones."""

        def step() -> Any:
            self._stepper.slots.reorder(list(parents), self._num_read)
            newest = {slot: (token, self._num_read) for slot, token in enumerate(tokens)}
            return self._stepper.write(newest)

        logits = self._fetched(step)
        self._num_read += 1
        return logits

    def _fetched(self, work: Any) -> np.ndarray:
        (found,) = self._passes.run(lambda _: [work().cpu().numpy()], [None], is_alone=False)
        return np.asarray(found)
