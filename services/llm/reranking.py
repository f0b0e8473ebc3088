"""How do pairs of many calls become scores."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from clients.errors import BackendError
from clients.llm import ScoreKind, Scores
from services.models import Card
from services.service import Call

from .backends.base import PreparedPair, Scorer
from .cache import Cache, key_of
from .flights import Flights, always
from .tally import Tally

log = logging.getLogger(__name__)

CACHE_BYTES = 64 << 20
# The lowest number that every kind of float on the way can hold; its expit is 0.
LOWEST_LOGIT = float(np.finfo(np.float16).min)
# A reranker that was converted without its head gives every document the same score.
MIN_ALARM_DOCUMENTS = 8
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Scored:
    """The raw output for a pair.

    Attributes:
        num_tokens: of the whole pair, with what it shares with others.
        is_cut: the pair was longer than the model takes.
    """

    output: float
    num_tokens: int = 0
    is_cut: bool = False

    @property
    def num_bytes(self) -> int:
        """It has no arrays."""
        return 0


class Reranking:
    """A reranking model with its queue; safe for any number of threads.

    Args:
        scorer: the model.
        cache_bytes: memory for remembered scores.
        instruction: what makes a document fit unless a call says otherwise; empty means the model's own.
        is_quiet: whether no other model of this process works.
    """

    def __init__(
        self,
        scorer: Scorer,
        cache_bytes: int = CACHE_BYTES,
        *,
        instruction: str = "",
        is_quiet: Callable[[], bool] = always,
    ) -> None:
        self.scorer = scorer
        self._instruction = instruction
        self._cache: Cache[Scored] = Cache(cache_bytes)
        self._flights: Flights[PreparedPair, Scored] = Flights(
            "rerank", scorer, self._run, lambda pair: pair.shared, is_quiet
        )
        self._has_warned = False

    @property
    def card(self) -> Card:
        """The model's description."""
        return self.scorer.card

    @property
    def tally(self) -> Tally:
        """What has gone through, and what waits."""
        return self._flights.tally + self._cache.tally

    def score(self, pairs: Sequence[Pair], call: Call, *, instruction: str = "") -> Scores:
        """Score (query, document) pairs, in their order.

        A pair with an empty side has the lowest score and never reaches the model.

        Raises:
            BackendError: the model failed, or gave what is no number.
        """
        told = instruction or self._instruction
        full = [place for place, pair in enumerate(pairs) if pair[0].strip() and pair[1].strip()]
        lowest = Scored(LOWEST_LOGIT if self.scorer.kind == "logit" else 0.0)
        results = [lowest] * len(pairs)
        for place, result in zip(full, self._get([pairs[place] for place in full], call, told), strict=True):
            results[place] = result
        outputs = np.array([result.output for result in results], np.float32)
        self._alarm([pairs[place] for place in full], outputs[full])
        scores, kind = scaled(outputs, self.scorer.kind)
        truncated = [place for place, result in enumerate(results) if result.is_cut]
        return Scores(scores, outputs, kind, self.card.name, sum(result.num_tokens for result in results), truncated)

    def close(self) -> None:
        """End the streams and let go of the model; calls that wait get an error."""
        self._flights.close()
        self.scorer.close()

    def _get(self, pairs: Sequence[Pair], call: Call, instruction: str) -> list[Scored]:
        def prepare(places: list[int]) -> list[PreparedPair]:
            return self.scorer.prepare([pairs[place] for place in places], instruction=instruction)

        revision = self.card.revision
        keys = [key_of(revision, instruction, query, document) for query, document in pairs]
        return self._flights.get(keys, prepare, self._cache, call, is_urgent=True)

    def _run(self, batch: list[PreparedPair], is_alone: bool) -> list[Scored | BackendError]:
        outputs = self.scorer.run(batch, is_alone=is_alone)
        return [self._scored(pair, float(output)) for pair, output in zip(batch, outputs, strict=True)]

    def _scored(self, pair: PreparedPair, output: float) -> Scored | BackendError:
        if not np.isfinite(output):
            return BackendError(f"'{self.card.name}' gave the score {output}", help="try dtype: fp32")
        return Scored(output, pair.num_tokens + len(pair.shared), pair.is_cut)

    def _alarm(self, pairs: Sequence[Pair], outputs: np.ndarray) -> None:
        """Say once that a model cannot tell documents apart."""
        if self._has_warned or self.scorer.kind == "similarity" or len(set(pairs)) < MIN_ALARM_DOCUMENTS:
            return
        if float(np.ptp(outputs)) == 0.0:
            self._has_warned = True
            log.warning(
                "'%s' gives %d different documents the same score, %g: it was probably converted without its head",
                self.card.name, len(set(pairs)), float(outputs[0]),
            )  # fmt: skip


def scaled(outputs: np.ndarray, kind: ScoreKind) -> tuple[np.ndarray, ScoreKind]:
    """What a caller sees: logits become probabilities, other kinds stay as they are.

    Args:
        outputs: float32 [n].
        kind: of the outputs.
    """
    if kind != "logit":
        return outputs, kind
    return expit(outputs), "probability"


def expit(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow at either end: float32 [n]."""
    probabilities: np.ndarray = np.exp(-np.logaddexp(0.0, -logits.astype(np.float64)))
    return probabilities.astype(np.float32)
