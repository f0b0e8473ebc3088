"""Embeddings by a compiled model on SOPHON devices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clients.errors import BadRequest
from clients.llm import Role
from services.llm.backends.base import Prepared
from services.llm.backends.last_token import LastTokenPrompt
from services.models import Shelved
from services.models.bundle import Bundle

from .passes import Outputs


class SophonEmbedder:
    """A Qwen3-Embedding, or its like, whose last token's vector stands for the text.

    Args:
        model: from the shelf.
        bundle: what was compiled.
        passes: of the bundle.
        max_tokens: cut texts here; 0 is the longest net.

    Raises:
        BadRequest: the tokenizer cannot be read.
    """

    def __init__(self, model: Shelved, bundle: Bundle, passes: Outputs, *, max_tokens: int = 0) -> None:
        self.card = model.card
        limit = min(max_tokens or bundle.max_tokens, bundle.max_tokens)
        self._prompt = LastTokenPrompt(model.path, model.card, max_tokens=limit)
        self._passes = passes
        self.num_streams = passes.num_devices
        self.budget_tokens = passes.budget_tokens
        self.max_waste_tokens = bundle.max_tokens

    def prepare(
        self, texts: Sequence[str], role: Role, *, instruction: str = "", wants_tokens: bool = False
    ) -> list[Prepared]:
        """Tokenise: queries with the instruction, documents as they are, the end token always.

        Raises:
            BadRequest: a vector for every token is wanted.
        """
        if wants_tokens:
            raise BadRequest(
                f"'{self.card.name}' is compiled for one vector per text",
                help="use a backend that computes token vectors",
            )
        return self._prompt.prepare(texts, role, instruction)

    def run(self, batch: Sequence[Prepared], *, is_alone: bool = False) -> list[np.ndarray]:
        """As many passes as the batch takes, on one device; waits while all are in use."""
        vectors = self._passes.outputs([text.ids for text in batch])
        return list(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))

    def close(self) -> None:
        """Let go of the devices."""
        self._passes.close()
