"""What is asked to have texts embedded, and what comes back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from .parts import Split, cut, shifted
from .wire import unary

Role = Literal["document", "query"]
MAX_TEXTS_PER_CALL = 64


@dataclass(frozen=True, slots=True)
class Embed:
    """Texts to embed.

    Attributes:
        role: questions and documents take different prefixes in most models.
        model: name of an embedding model that the service's machine has, loaded or not; empty means the service's own.
        instruction: what queries are told to be, for models that take one; empty means the model's own.
        dimension: cut the vectors to so many numbers and normalise again (Matryoshka); 0 means all.
    """

    texts: list[str]
    role: Role = "document"
    model: str = ""
    instruction: str = ""
    dimension: int = 0


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One L2-normalised float32 row per text: shape [n, dim].

    Attributes:
        truncated: indices of texts that were longer than the model takes, and were cut.
    """

    vectors: np.ndarray
    model: str
    num_tokens: int = 0
    truncated: list[int] = field(default_factory=list)


EMBED = unary("llm.embed", Embed, Embeddings)


def embed_requests(
    texts: str | Iterable[str], role: Role, model: str, instruction: str, dimension: int, *, tells: bool = False
) -> Split[Embed]:
    """What is asked to have texts embedded, in as many calls as they need."""
    given = [texts] if isinstance(texts, str) else list(texts)
    cuts = cut([len(text) for text in given], MAX_TEXTS_PER_CALL, tells=tells)
    return Split([Embed(given[c.start : c.stop], role, model, instruction, dimension) for c in cuts], cuts)


def joined(replies: Sequence[Embeddings], cuts: Sequence[range]) -> Embeddings:
    """The parts as one; no parts are vectors [0, 0]."""
    vectors = np.concatenate([reply.vectors for reply in replies]) if replies else np.zeros((0, 0), np.float32)
    num_tokens = sum(reply.num_tokens for reply in replies)
    truncated = shifted([reply.truncated for reply in replies], cuts)
    return Embeddings(vectors, replies[0].model if replies else "", num_tokens, truncated)
