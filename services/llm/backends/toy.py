"""Deterministic models without weights: the same texts give the same vectors, scores and words.

A text is a bag of hashed words (pairs of characters in Chinese), so similar texts are similar.
``toy`` has vectors of 256 numbers, ``toy-64`` has some of 64 that have nothing to do with those.
For tests, demonstrations and machines that hold no model at all.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from clients.config import Model
from clients.llm import Role, ScoreKind
from services.llm.words import informative
from services.models import Card

from .base import Embedder, Generator, Prepared, PreparedPair, Scorer
from .registry import Site
from .toy_writer import ToyGenerator

DIMENSION = 256
SIZED = re.compile(r"toy-(\d{1,4})")
MAX_TOKENS = 512
CARD = Card(
    "toy",
    "encoder",
    ("embed", "rerank", "generate"),
    languages=("multilingual",),
    dimension=DIMENSION,
    max_tokens=MAX_TOKENS,
)


class ToyEmbedder:
    """Hashed words as vectors."""

    num_streams = 1
    max_waste_tokens = 48
    budget_tokens = 512

    def __init__(self, card: Card = CARD) -> None:
        self.card = card
        self._dimension = card.dimension

    def prepare(
        self,
        texts: Sequence[str],
        role: Role,
        *,
        instruction: str = "",
        wants_tokens: bool = False,
    ) -> list[Prepared]:
        """Hash the words."""
        prepared = []
        for text in texts:
            ids = _ids(text)
            prepared.append(Prepared(ids, 0, len(ids), wants_tokens, len(informative(text)) > MAX_TOKENS))
        return prepared

    def run(self, batch: Sequence[Prepared], *, is_alone: bool = False) -> list[np.ndarray]:
        """One unit vector per word, or the direction of their sum."""
        return [
            self._one_hot(text.ids) if text.wants_tokens else _direction(self._one_hot(text.ids).sum(axis=0))
            for text in batch
        ]

    def close(self) -> None:
        """Nothing is held."""

    def _one_hot(self, ids: np.ndarray) -> np.ndarray:
        vectors = np.zeros((len(ids), self._dimension), np.float32)
        vectors[np.arange(len(ids)), ids % self._dimension] = np.where(ids // self._dimension % 2, 1.0, -1.0)
        return vectors


def is_toy(name: str) -> bool:
    """Whether a model of this name can be had without any files."""
    return name == CARD.name or SIZED.fullmatch(name) is not None


def _card(name: str) -> Card:
    sized = SIZED.fullmatch(name)
    return replace(CARD, name=name, dimension=max(1, int(sized[1]))) if sized else CARD


def _ids(text: str) -> np.ndarray:
    words = informative(text)[:MAX_TOKENS] or [text.strip()]
    return np.array([zlib.crc32(word.encode()) & 0x7FFFFFFF for word in words], np.int32)


def _direction(total: np.ndarray) -> np.ndarray:
    norm = float(np.linalg.norm(total))
    if norm == 0.0:  # two words at one place with opposite signs
        total = np.eye(1, len(total), dtype=np.float32)[0]
        norm = 1.0
    return (total / norm).astype(np.float32)


class ToyScorer:
    """The share of the query's words that a document has."""

    num_streams = 1
    max_waste_tokens = 48
    budget_tokens = 512
    kind: ScoreKind = "similarity"
    card = replace(CARD, name="toy", roles=("rerank",))

    def prepare(self, pairs: Sequence[tuple[str, str]], *, instruction: str = "") -> list[PreparedPair]:
        """Hash the words; those of the query are what its documents share."""
        prepared = []
        for query, document in pairs:
            words = informative(document)
            asked = tuple(dict.fromkeys(informative(query)))[:MAX_TOKENS]
            shared = tuple(zlib.crc32(word.encode()) & 0x7FFFFFFF for word in asked)
            prepared.append(PreparedPair(_ids(document), shared, len(words) > MAX_TOKENS))
        return prepared

    def run(self, batch: Sequence[PreparedPair], *, is_alone: bool = False) -> np.ndarray:
        """Score by overlap."""
        wanted = set(batch[0].shared)
        shares = [len(wanted & set(pair.ids.tolist())) / len(wanted) if wanted else 0.0 for pair in batch]
        return np.array(shares, np.float32)

    def close(self) -> None:
        """Nothing is held."""


class Toy:
    """The three models, as a backend."""

    def embedder(self, settings: Model, site: Site) -> Embedder:
        """Hashed words as vectors."""
        return ToyEmbedder(_card(settings.name))

    def scorer(self, settings: Model, site: Site) -> Scorer:
        """Shared words."""
        return ToyScorer()

    def generator(self, settings: Model, site: Site) -> Generator:
        """An echo; ``toy_token_s`` of ``llm.options`` is the time of a word."""
        delay_s = site.options.get("toy_token_s", 0.0)
        return ToyGenerator(float(delay_s) if isinstance(delay_s, int | float) else 0.0)


BACKEND = Toy()
