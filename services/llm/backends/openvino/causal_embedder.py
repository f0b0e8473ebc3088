"""Embeddings by a causal model such as Qwen3-Embedding, by OpenVINO on the processor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clients.errors import BadRequest
from clients.llm import Role
from services.llm.backends.base import Prepared
from services.llm.backends.last_token import LastTokenPrompt
from services.models import Shelved

from .compiled import Dtype
from .decoding import Decoding
from .embedder import BUDGET_TOKENS, MAX_WASTE_TOKENS


class OpenVINOCausalEmbedder:
    """A model of Qwen3's kind whose last token's vector stands for the text.

    Args:
        model: from the shelf.
        dtype: ``auto`` is bf16 where the processor multiplies it, else fp32.
        threads: processor threads.
        max_tokens: cut texts here; 0 is the model's own limit, and at most 8192.

    Raises:
        BadRequest: the files are no such model.
        BackendError: the runtime refuses it.
    """

    budget_tokens = BUDGET_TOKENS

    def __init__(self, model: Shelved, *, dtype: Dtype = "auto", threads: int = 1, max_tokens: int = 0) -> None:
        self.card = model.card
        if model.card.pooling != "last":
            raise BadRequest(
                f"'{model.card.name}': '{model.card.pooling}' pooling over a causal model is not computed",
                help="take a model with last-token pooling, such as Qwen3-Embedding",
            )
        self._decoding = Decoding(model, dtype, threads)
        limit = self._decoding.causal.limit(max_tokens or model.card.max_tokens)
        self._prompt = LastTokenPrompt(model.path, model.card, max_tokens=limit)
        self.num_streams = self._decoding.num_streams
        self.max_waste_tokens = MAX_WASTE_TOKENS[self._decoding.dtype]

    def prepare(
        self, texts: Sequence[str], role: Role, *, instruction: str = "", wants_tokens: bool = False
    ) -> list[Prepared]:
        """Tokenise: queries with the instruction, documents as they are, the end token always."""
        return self._prompt.prepare(texts, role, instruction, wants_tokens=wants_tokens)

    def run(self, batch: Sequence[Prepared], *, is_alone: bool = False) -> list[np.ndarray]:
        """One padded forward pass; waits while all streams are in use."""
        places = max(text.num_tokens if text.wants_tokens else 1 for text in batch)
        at = np.stack([_wanted(text, places) for text in batch])
        vectors = self._decoding.vectors([text.ids for text in batch], at, is_alone=is_alone)
        return [
            (rows[: text.num_tokens] if text.wants_tokens else rows[0]).copy()
            for text, rows in zip(batch, vectors, strict=True)
        ]

    def close(self) -> None:
        """Let go of the model."""
        self._decoding.close()


def _wanted(text: Prepared, places: int) -> np.ndarray:
    """Every token, or the last one again and again."""
    last = text.num_tokens - 1
    return np.minimum(np.arange(places), last) if text.wants_tokens else np.full(places, last)
