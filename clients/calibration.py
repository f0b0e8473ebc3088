"""What was fitted to one collection so that a confidence is a probability: the curve, two thresholds, their quality."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from .client import Client
from .documents import CollectionName
from .models import ModelInfo
from .wire import Nothing, unary

Source = Literal["labelled", "synthetic"]
# Of the evidence that `clients.decision` reads from a search: a curve fitted to another one means nothing.
EVIDENCE = 1
MAX_LOG_ODDS = 30.0


@dataclass(frozen=True, slots=True)
class Scorers:
    """What the evidence depends on: a calibration holds for these only.

    Attributes:
        revision: the models' revisions, the version of the evidence, and how many passages are searched.
    """

    embedder: str
    reranker: str
    revision: str

    def __str__(self) -> str:
        return f"{self.embedder or 'no embedding model'} and {self.reranker or 'no reranker'} ({self.revision})"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure of the held-out half with its 95 % bootstrap interval over questions."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a calibration is on questions that took no part in the fit.

    Attributes:
        num_questions: of the held-out half.
        num_answerable, num_hard, num_easy: its cases: asked as they are, with their documents left out of the
            view, and questions of another collection.
        figures: by name; what could not be measured is missing. ``auroc_easy`` and ``auroc_hard`` tell answerable
            questions from those of another collection, and from the same ones without their documents;
            ``ece_before``, ``ece_after`` (ten bins), ``brier_before``, ``brier_after``; ``precision`` (of the
            answers) and ``coverage`` (share of the answerable that are answered) at ``t_high``;
            ``abstention_precision`` and ``abstention_recall`` there; ``coverage_all`` of all questions.
    """

    num_questions: int = 0
    num_answerable: int = 0
    num_hard: int = 0
    num_easy: int = 0
    figures: dict[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A curve from evidence (log-odds) to the probability that the answer is among the passages, and two thresholds.

    Attributes:
        slope, intercept: Platt scaling: p = 1 / (1 + exp(-(slope * evidence + intercept))).
        knots, levels: an isotonic curve instead, straight between its points; empty with Platt scaling.
        t_low: below it the collection lacks the answer.
        t_high: from it on the question is answered; between the two a second search by words is tried.
        target: what the thresholds were chosen for.
        is_reached: whether the fit half allowed the target; if not, ``t_high`` is the best that it allowed.
        source: ``synthetic`` when the questions were made from the collection's own chunks: weaker evidence.
        mix: shares of answerable, hard and easy questions that the probability assumes.
    """

    collection: str
    scorers: Scorers
    slope: float = 1.0
    intercept: float = 0.0
    knots: list[float] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    t_low: float = 0.0
    t_high: float = 0.5
    target: str = ""
    is_reached: bool = True
    source: Source = "labelled"
    mix: list[float] = field(default_factory=list)
    quality: Quality = field(default_factory=Quality)
    created_at: float = 0.0

    def probability(self, evidence: float) -> float:
        """0 to 1, never falling with the evidence."""
        if self.knots:
            return _between(evidence, self.knots, self.levels)
        return sigmoid(self.slope * evidence + self.intercept)


def sigmoid(log_odds: float) -> float:
    """The probability of log-odds."""
    return 1.0 / (1.0 + math.exp(-max(-MAX_LOG_ODDS, min(MAX_LOG_ODDS, log_odds))))


def _between(x: float, knots: Sequence[float], levels: Sequence[float]) -> float:
    right = bisect_right(knots, x)
    if right in (0, len(knots)):
        return levels[min(right, len(knots) - 1)]
    share = (x - knots[right - 1]) / (knots[right] - knots[right - 1])
    return levels[right - 1] + share * (levels[right] - levels[right - 1])


def scorers_of(models: Sequence[ModelInfo], top_k: int, embedder: str = "") -> Scorers:
    """What the evidence of a search for ``top_k`` passages depends on now.

    Args:
        models: those of the roles.
        top_k: how many passages are searched.
        embedder: what made the collection's vectors, if that is known; it may be another one than serves.
    """
    by_role = {model.role: model for model in models}
    embed, rerank = by_role.get("embed"), by_role.get("rerank")
    # A reranker of the embedding model's own vectors may have no name of its own.
    revisions = [model.revision[:12] for model in (embed, rerank) if model and model.revision]
    revision = " ".join([*dict.fromkeys(revisions), f"evidence {EVIDENCE}", f"top {top_k}"])
    return Scorers(embedder or (embed.name if embed else ""), rerank.name if rerank else "", revision)


@dataclass(frozen=True, slots=True)
class Calibrations:
    """Every calibration of a collection, newest first; at most one for each of its scorers."""

    calibrations: list[Calibration]


CALIBRATION = unary("index.calibration", CollectionName, Calibrations)
SET_CALIBRATION = unary("index.set_calibration", Calibration, Nothing)
FORGET_CALIBRATION = unary("index.forget_calibration", CollectionName, Nothing)
METHODS = (CALIBRATION, SET_CALIBRATION, FORGET_CALIBRATION)


class Calibrating:
    """The part of the Index service's client that keeps calibrations with their collections."""

    _client: Client

    def calibrations(self, collection: str) -> list[Calibration]:
        """What was fitted to a collection, newest first; NotFound when there is no such collection."""
        return self._client.call(CALIBRATION, CollectionName(collection)).calibrations

    def set_calibration(self, calibration: Calibration) -> None:
        """Keep a calibration in place of an earlier one for the same scorers.

        Raises:
            NotFound: no such collection.
            BadRequest: thresholds out of order or outside 0 to 1, or a curve that falls.
        """
        self._client.call(SET_CALIBRATION, calibration)

    def forget_calibration(self, collection: str) -> None:
        """Go back to the defaults."""
        self._client.call(FORGET_CALIBRATION, CollectionName(collection))
