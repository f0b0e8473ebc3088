"""Deterministic models without weights: the same texts give the same vectors, scores and words.

A text is a bag of hashed words (pairs of characters in Chinese), so similar texts are similar.
For tests, demonstrations and machines that hold no model at all.
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Generator as Stream
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from clients.config import Model
from clients.llm import Generate, Generation, Role, ScoreKind, Token, Usage
from services.llm.stopping import Stopper
from services.llm.words import informative
from services.models import Card
from services.service import Call

from .base import Embedder, Generator, Prepared, PreparedPair, Scorer
from .registry import Site

DIMENSION = 256
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
            _one_hot(text.ids) if text.wants_tokens else _direction(_one_hot(text.ids).sum(axis=0)) for text in batch
        ]

    def close(self) -> None:
        """Nothing is held."""


def _ids(text: str) -> np.ndarray:
    words = informative(text)[:MAX_TOKENS] or [text.strip()]
    return np.array([zlib.crc32(word.encode()) & 0x7FFFFFFF for word in words], np.int32)


def _one_hot(ids: np.ndarray) -> np.ndarray:
    vectors = np.zeros((len(ids), DIMENSION), np.float32)
    vectors[np.arange(len(ids)), ids % DIMENSION] = np.where(ids // DIMENSION % 2, 1.0, -1.0)
    return vectors


def _direction(total: np.ndarray) -> np.ndarray:
    norm = float(np.linalg.norm(total))
    if norm == 0.0:  # two words at one place with opposite signs
        total = np.eye(1, DIMENSION, dtype=np.float32)[0]
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


class ToyGenerator:
    """Repeats the last thing that was said, word by word.

    Args:
        token_s: seconds between two tokens, for tests of streams and of cancelling.
    """

    card = replace(CARD, name="toy", roles=("generate",))

    def __init__(self, token_s: float = 0.0) -> None:
        self._token_s = token_s

    def generate(self, request: Generate, call: Call) -> Stream[Token, None, Generation]:
        """Echo; honours ``max_tokens`` and ``stop``."""
        start = time.monotonic()
        said = request.prompt or request.messages[-1].content
        words = re.findall(r"\s*\S+", f"You said: {said}")
        stopper = Stopper(request.stop)
        num_tokens = 0
        for word in words[: request.max_tokens]:
            if self._token_s:
                call.cancelled.wait(self._token_s)
            call.check()
            num_tokens += 1
            if text := stopper.feed(word):
                yield Token(text)
            if stopper.is_stopped:
                break
        if text := stopper.flush():
            yield Token(text)
        is_whole = stopper.is_stopped or len(words) <= request.max_tokens
        usage = Usage(len(said.split()), num_tokens, 0.0, time.monotonic() - start)
        return Generation(stopper.text, "stop" if is_whole else "length", self.card.name, usage)

    def close(self) -> None:
        """Nothing is held."""


class Toy:
    """The three models, as a backend."""

    def embedder(self, settings: Model, site: Site) -> Embedder:
        """Hashed words as vectors."""
        return ToyEmbedder()

    def scorer(self, settings: Model, site: Site) -> Scorer:
        """Shared words."""
        return ToyScorer()

    def generator(self, settings: Model, site: Site) -> Generator:
        """An echo; ``toy_token_s`` of ``llm.options`` is the time of a word."""
        delay_s = site.options.get("toy_token_s", 0.0)
        return ToyGenerator(float(delay_s) if isinstance(delay_s, int | float) else 0.0)


BACKEND = Toy()
