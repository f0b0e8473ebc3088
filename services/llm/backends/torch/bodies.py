"""What is behind an embedding model: which ids does it see, and which token vectors does it give for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from clients.llm import Role
from services.llm.backends.base import Prepared
from services.llm.backends.last_token import LastTokenPrompt
from services.llm.backends.tokenizing import tokenizer_of
from services.models import Card, Shelved

from .attention import Spans
from .decoder import Decoder
from .device import Place
from .encoder import Encoder
from .shared import Alone

# Far more than fits: what is cut off anyway need not be tokenised.
CHARS_PER_TOKEN = 32


class Body(Protocol):
    """An encoder or a decoder with its tokenizer."""

    def prepare(
        self, texts: Sequence[str], role: Role, instruction: str = "", *, wants_tokens: bool = False
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
        self._encoder, self._place, self._card = encoder, place, model.card
        limit = min(filter(None, (max_tokens, model.card.max_tokens, encoder.max_tokens)))
        self._tokenize = tokenizer_of(model.path / "tokenizer.json", limit)
        self._max_chars = limit * CHARS_PER_TOKEN
        self._limit = limit

    def prepare(
        self, texts: Sequence[str], role: Role, instruction: str = "", *, wants_tokens: bool = False
    ) -> list[Prepared]:
        """Tokenise with the model's prefix for the role."""
        prefix = prefix_of(self._card, role, instruction)
        own, *rows = self._tokenize([prefix.strip(), *(prefix + text.strip()[: self._max_chars] for text in texts)])
        first = len(own) - 1
        return [self._prepared(ids, first, wants_tokens=wants_tokens) for ids in rows]

    def vectors(self, batch: Sequence[np.ndarray]) -> tuple[Any, Spans]:
        """One pass over texts of any lengths."""
        ids, places, spans = packed(batch, self._place)
        return self._encoder.forward(ids, places, ids.new_zeros(len(ids)), spans), spans

    def _prepared(self, ids: Sequence[int], first: int, *, wants_tokens: bool) -> Prepared:
        last = len(ids) - 1
        return Prepared(np.array(ids, np.int32), min(first, last), last, wants_tokens, len(ids) >= self._limit)


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
        self.prepare = self._prompt.prepare

    def vectors(self, batch: Sequence[np.ndarray]) -> tuple[Any, Spans]:
        """One pass over texts of any lengths."""
        ids, places, spans = packed(batch, self._decoder.place)
        return self._decoder.forward(ids, places, Alone(spans)), spans


def prefix_of(card: Card, role: Role, instruction: str = "") -> str:
    """What the model was trained to see in front of a text."""
    if role != "query":
        return card.document_prefix
    return card.query_prefix.replace("{instruction}", instruction or card.instruction)


def packed(batch: Sequence[np.ndarray], place: Place) -> tuple[Any, Any, Spans]:
    """Ids and positions of texts one behind the other, int64 [tokens] on the device, and where each text lies."""
    lengths = [len(ids) for ids in batch]
    ids = place.send(np.concatenate(batch).astype(np.int64))
    places = place.send(np.concatenate([np.arange(length, dtype=np.int64) for length in lengths]))
    return ids, places, Spans.of(lengths, place)
