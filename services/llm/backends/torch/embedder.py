"""Embeddings by torch: packed texts through an encoder, or through a causal model to its last token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch.nn.functional import normalize

from clients.llm import Role
from services.llm.backends.base import Prepared
from services.models import Shelved

from .attention import Spans
from .bodies import Body, DecoderBody, EncoderBody
from .device import Place
from .loading import load
from .passes import Passes


class TorchEmbedder:
    """An embedding model on a GPU, or on the processor as the exact reference.

    Args:
        model: from the shelf, or a directory in the layout of sentence-transformers.
        place: device and dtype.
        max_tokens: cut texts here; 0 is the model's own limit.
        instruction: for queries of calls without one, where the model takes one.

    Raises:
        BadRequest: the files are no such model.
        TooLarge: it does not fit the device.
    """

    def __init__(self, model: Shelved, place: Place, *, max_tokens: int = 0, instruction: str = "") -> None:
        self.card = model.card
        self.num_streams = place.num_streams
        self.budget_tokens = place.budget_tokens
        # Packed texts have no padding to waste.
        self.max_waste_tokens = place.budget_tokens
        self._passes = Passes(place, model.card.name)
        self._body = _body(model, place, max_tokens, instruction)

    def prepare(
        self, texts: Sequence[str], role: Role, *, instruction: str = "", wants_tokens: bool = False
    ) -> list[Prepared]:
        """Tokenise with the model's prefix for the role."""
        return self._body.prepare(texts, role, instruction=instruction, wants_tokens=wants_tokens)

    def run(self, batch: Sequence[Prepared], *, is_alone: bool = False) -> list[np.ndarray]:
        """One packed forward pass."""
        return self._passes.run(self._forward, batch, is_alone=is_alone)

    def close(self) -> None:
        """Let go of the model and of its memory."""
        del self._body
        torch.cuda.empty_cache()

    def _forward(self, batch: Sequence[Prepared]) -> list[np.ndarray]:
        vectors, spans = self._body.vectors([text.ids for text in batch])
        whole = _fetched(pooled(vectors, spans, self.card.pooling))
        found = list(whole)
        if any(text.wants_tokens for text in batch):
            tokens = _fetched(vectors)
            for place, (text, first) in enumerate(zip(batch, spans.bounds, strict=False)):
                if text.wants_tokens:
                    found[place] = tokens[first : first + text.num_tokens]
        return found


def pooled(vectors: Any, spans: Spans, pooling: Literal["mean", "cls", "last"]) -> Any:
    """One vector for each text, float32 [n, hidden]; the mean, or that of the first or the last token."""
    if pooling == "mean":
        return torch.segment_reduce(vectors.float(), "mean", lengths=spans.offsets.diff().long(), unsafe=True)
    return vectors[spans.first if pooling == "cls" else spans.last].float()


def _fetched(vectors: Any) -> np.ndarray:
    """L2-normalised rows, float32 on the processor."""
    found: np.ndarray = normalize(vectors.float(), dim=-1).cpu().numpy()
    return found


def _body(model: Shelved, place: Place, max_tokens: int, instruction: str) -> Body:
    loaded = load(model, place)
    if model.card.kind == "decoder":
        return DecoderBody(loaded.decoder(), model, max_tokens, instruction)
    return EncoderBody(loaded.encoder(), model, place, max_tokens)
