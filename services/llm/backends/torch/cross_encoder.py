"""Scores of pairs by torch: an encoder with a classifier reads query and document together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from clients.errors import BadRequest
from clients.llm import ScoreKind
from services.llm.backends.base import PreparedPair
from services.llm.backends.texts import Pairs, limit_of
from services.models import Shelved

from .device import Place
from .encoder import Packed
from .loading import load
from .passes import Passes


class TorchCrossEncoder:
    """A cross-encoder such as bge-reranker-v2-m3 or ms-marco-MiniLM.

    Args:
        model: from the shelf.
        place: device and dtype.
        max_tokens: cut pairs here; 0 is the model's own limit.

    Raises:
        BadRequest: the files are no such model.
        TooLarge: it does not fit the device.
    """

    kind: ScoreKind = "logit"

    def __init__(self, model: Shelved, place: Place, *, max_tokens: int = 0) -> None:
        self.card = model.card
        self.num_streams = place.num_streams
        self.budget_tokens = place.budget_tokens
        self.max_waste_tokens = place.budget_tokens
        self._place = place
        self._passes = Passes(place, model.card.name)
        loaded = load(model, place)
        self._classifier = loaded.classifier()
        if self._classifier.num_outputs != 1:
            raise BadRequest(f"'{model.card.name}' sorts into {self._classifier.num_outputs} classes, not by one score")
        self._encoder = loaded.encoder()
        limit = limit_of(model.card, max_tokens, self._encoder.max_tokens)
        self._pairs = Pairs(model.path / "tokenizer.json", limit)

    def prepare(self, pairs: Sequence[tuple[str, str]], *, instruction: str = "") -> list[PreparedPair]:
        """Tokenise; these models are trained without instructions and read none."""
        return self._pairs.prepare(pairs)

    def run(self, batch: Sequence[PreparedPair], *, is_alone: bool = False) -> np.ndarray:
        """One packed pass."""
        return np.array(self._passes.run(self._forward, batch, is_alone=is_alone), np.float32)

    def close(self) -> None:
        """Let go of the model and of its memory."""
        del self._encoder, self._classifier
        torch.cuda.empty_cache()

    def _forward(self, batch: Sequence[PreparedPair]) -> list[float]:
        packed = Packed.of([pair.ids for pair in batch], self._place, [pair.second for pair in batch])
        first = self._encoder.forward(packed)[packed.spans.first]
        logits: list[float] = self._classifier.logits(first).tolist()
        return logits
