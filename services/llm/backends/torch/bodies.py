"""What is behind an embedding model: which ids does it see, and which token vectors does it give for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from clients.llm import Role
from services.llm.backends.base import Prepared
from services.llm.backends.last_token import LastTokenPrompt
from services.llm.backends.texts import Texts, limit_of
from services.models import Shelved

from .attention import Spans
from .decoder import Decoder
from .device import Place
from .encoder import Encoder, Packed
from .shared import Alone


class Body(Protocol):
    """An encoder or a decoder with its tokenizer."""

    def prepare(
        self, texts: Sequence[str], role: Role, *, instruction: str = "", wants_tokens: bool = False
    ) -> list[Prepared]:
        """Tokenise."""
        ...

    def vectors(self, batch: Sequence[np.ndarray]) -> tuple[Any, Spans]:
        """Token vectors [tokens, hidden] of texts, and where each text lies."""
        ...


class EncoderBody:
    """An encoder and its tokenizer.

    Args:
        encoder: on its device.
        model: where the tokenizer lies.
        place: the encoder's.
        max_tokens: cut texts here; 0 is the model's own limit.
    """

    def __init__(self, encoder: Encoder, model: Shelved, place: Place, max_tokens: int = 0) -> None:
        self._encoder, self._place = encoder, place
        limit = limit_of(model.card, max_tokens, encoder.max_tokens)
        self.prepare = Texts(model.path / "tokenizer.json", model.card, limit).prepare

    def vectors(self, batch: Sequence[np.ndarray]) -> tuple[Any, Spans]:
        """One pass over texts of any lengths."""
        packed = Packed.of(batch, self._place)
        return self._encoder.forward(packed), packed.spans


class DecoderBody:
    """A causal model whose last token's vector stands for the text.

    Args:
        decoder: on its device.
        model: where the tokenizer lies.
        max_tokens: cut texts here; 0 is the model's own limit.
        instruction: for queries of calls without one; empty is the card's.
    """

    def __init__(self, decoder: Decoder, model: Shelved, max_tokens: int = 0, instruction: str = "") -> None:
        self._decoder = decoder
        limit = min(max_tokens or decoder.max_tokens, decoder.max_tokens)
        self._prompt = LastTokenPrompt(model.path, model.card, max_tokens=limit, instruction=instruction)

    def prepare(
        self, texts: Sequence[str], role: Role, *, instruction: str = "", wants_tokens: bool = False
    ) -> list[Prepared]:
        """Tokenise with the prefix of the role and the end token."""
        return self._prompt.prepare(texts, role, instruction, wants_tokens=wants_tokens)

    def vectors(self, batch: Sequence[np.ndarray]) -> tuple[Any, Spans]:
        """One pass over texts of any lengths."""
        packed = Packed.of(batch, self._decoder.place)
        return self._decoder.forward(packed.ids, packed.places, Alone(packed.spans)), packed.spans
