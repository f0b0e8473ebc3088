"""Can the collection answer this question? Decided from the search, before the first token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from .answers import Candidate, Cause, Decision, Route
from .asking import Ask
from .calibration import Calibration, sigmoid
from .followup import is_cjk
from .index import Hit, Hits
from .llm import Sentence

Situation = Literal["ranked", "plain", "across"]
MIN_RANKED, MIN_ACROSS = 5, 2
MAX_SHARED = 0.3
LEAST = 1e-7  # log-odds of a probability that float32 rounded to 0 or 1 stay finite


@dataclass(frozen=True, slots=True)
class Signals:
    """What a search says about its own success.

    Attributes:
        situation: ``ranked`` when a reranker gave similarities to several passages, ``plain`` when not,
            ``across`` when question and best passage are written in different scripts and share few words.
        coverage: share of the question's informative words that the best passages contain.
        sentence: score of the best sentence.
        lift: how far the best passage stands out: (best - mean) / (1 - mean) of the similarities, so
            that it means the same for models whose similarities lie close together.
    """

    situation: Situation
    coverage: float
    sentence: float
    lift: float


@dataclass(frozen=True, slots=True)
class Weights:
    """A logistic regression over the signals."""

    bias: float
    coverage: float
    sentence: float
    lift: float

    def log_odds(self, signals: Signals) -> float:
        """Above 0 speaks for an answer."""
        return (
            self.bias + self.coverage * signals.coverage + self.sentence * signals.sentence + self.lift * signals.lift
        )

    def confidence(self, signals: Signals) -> float:
        """0 to 1."""
        return sigmoid(self.log_odds(signals))


@dataclass(frozen=True, slots=True)
class Gate:
    """How much is enough: two thresholds, and the curve that was fitted to the collection, if there is one."""

    high: float
    low: float
    calibration: Calibration | None = None

    def confidence(self, hits: Hits, sentences: Sequence[Sentence], question: str) -> float:
        """0 to 1; a probability where something was fitted."""
        if self.calibration is None or not hits.hits:
            return confidence(hits, sentences, question)
        return self.calibration.probability(evidence(hits, sentences, question))

    def is_unsure(self, sure: float) -> bool:
        """Whether a second search may make a difference."""
        return self.low <= sure < self.high


def gate_of(settings: Ask, calibration: Calibration | None = None) -> Gate:
    """The gate for what the settings say and for what was fitted to the collection."""
    high, low = settings.threshold, settings.threshold_low
    if calibration and settings.fitted:
        high, low = calibration.t_high, calibration.t_low
    return Gate(high, min(low, high), calibration)


# Fitted with multilingual-e5-small and MaxSim on XQuAD, CMRC 2018, SciFact, Vaswani and passages of technical
# manuals: ten questions in which seven have their answer in the collection. benchmarks/decision.py does it again,
# benchmarks/LOG.md has the figures.
WEIGHTS: dict[Situation, Weights] = {
    "ranked": Weights(bias=-5.29, coverage=5.87, sentence=3.6, lift=14.8),
    "plain": Weights(bias=-2.73, coverage=1.66, sentence=7.85, lift=0.0),
    "across": Weights(bias=-3.87, coverage=0.0, sentence=13.43, lift=27.33),
}


def read_signals(hits: Hits, sentences: Sequence[Sentence], question: str = "") -> Signals:
    """The signals of a search's outcome.

    Args:
        hits: what was found.
        sentences: the best sentences of the hits for this question.
        question: as it was searched for; without it the language is not looked at.
    """
    # A cross-encoder's scores are probabilities, for which nothing was fitted.
    is_similarity = bool(hits.hits) and hits.hits[0].score_kind != "probability"
    similarities = [hit.scores["rerank"] for hit in hits.hits if "rerank" in hit.scores] if is_similarity else []
    situation: Situation = "ranked" if len(similarities) >= MIN_RANKED else "plain"
    if len(similarities) >= MIN_ACROSS and question and _is_across(question, hits):
        situation = "across"
    sentence = max((s.score for s in sentences), default=0.0)
    return Signals(situation, hits.coverage, sentence, _lift(similarities) if situation != "plain" else 0.0)


def evidence(hits: Hits, sentences: Sequence[Sentence], question: str = "") -> float:
    """Log-odds that the answer is among the hits, before anything is fitted to the collection.

    A cross-encoder has read question and passage together: its best logit is the evidence. Otherwise it is
    what the signals add up to.
    """
    if hits.hits and hits.hits[0].score_kind == "probability":
        return max(_log_odds(hit.scores["rerank"]) for hit in hits.hits if "rerank" in hit.scores)
    signals = read_signals(hits, sentences, question)
    return WEIGHTS[signals.situation].log_odds(signals)


def confidence(hits: Hits, sentences: Sequence[Sentence], question: str = "") -> float:
    """0 to 1: how sure the search is that the answer is among its hits, by the weights that fit most collections."""
    if not hits.hits:
        return 0.0
    signals = read_signals(hits, sentences, question)
    return WEIGHTS[signals.situation].confidence(signals)


def decide(
    hits: Hits, sentences: Sequence[Sentence], gate: Gate, *, question: str = "", is_second: bool = False
) -> Decision:
    """The route for a search's outcome.

    Args:
        hits: what was found.
        sentences: the best sentences of the hits for this question.
        gate: how much is enough.
        question: as it was searched for.
        is_second: the hits are those of both searches, after the first one alone did not suffice.
    """
    is_fitted = gate.calibration is not None
    if not hits.hits:
        nothing = "the search found nothing at all"
        return Decision("absent", 0.0, gate.high, nothing, is_fitted, t_low=gate.low, cause="nothing")
    sure = gate.confidence(hits, sentences, question)
    route: Route = ("fallback" if is_second else "answer") if sure >= gate.high else "absent"
    cause: Cause = "" if route != "absent" else "unsure" if sure >= gate.low else "irrelevant"
    reason = _because(hits)
    if route == "absent":
        gap = f"confidence {sure:.2f} where {gate.high:.2f} is needed"
        reason = f"the closest passages do not cover the question: {reason}; {gap}"
    seen = candidates(hits, sentences, gate, question)
    return Decision(route, sure, gate.high, reason, is_fitted, hits.coverage, gate.low, cause, seen)


def candidates(hits: Hits, sentences: Sequence[Sentence], gate: Gate, question: str = "") -> list[Candidate]:
    """Each passage as the gate sees it."""
    signals = read_signals(hits, sentences, question)
    mean = _mean([hit.scores["rerank"] for hit in hits.hits if "rerank" in hit.scores])
    return [_candidate(hit, _probability(hit, signals, mean, gate)) for hit in hits.hits]


def _candidate(hit: Hit, p: float | None) -> Candidate:
    logit = hit.scores.get("rerank")
    if logit is not None and hit.score_kind == "probability":
        logit = _log_odds(logit)
    # A keyword score of 0 means that no word was found; its rank is then of no account.
    rank = hit.ranks.get("keyword") if hit.scores.get("keyword") else None
    return Candidate(hit.chunk_id, hit.scores.get("dense"), rank, logit, p)


def _probability(hit: Hit, signals: Signals, mean: float, gate: Gate) -> float | None:
    """What the gate would say if this passage were the best one; None where it cannot tell passages apart."""
    score = hit.scores.get("rerank")
    if gate.calibration is None or score is None:
        return None
    if hit.score_kind == "probability":
        return gate.calibration.probability(_log_odds(score))
    if signals.situation == "plain":
        return None
    own = replace(signals, lift=(score - mean) / (1.0 - mean) if mean < 1.0 else 0.0)
    return gate.calibration.probability(WEIGHTS[signals.situation].log_odds(own))


def _log_odds(probability: float) -> float:
    inside = min(1.0 - LEAST, max(LEAST, probability))
    return math.log(inside / (1.0 - inside))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _is_across(question: str, hits: Hits) -> bool:
    return hits.coverage < MAX_SHARED and is_cjk(question) != is_cjk(hits.hits[0].text)


def _lift(similarities: Sequence[float]) -> float:
    mean = _mean(similarities)
    return (max(similarities) - mean) / (1.0 - mean) if mean < 1.0 else 0.0


def _because(hits: Hits) -> str:
    return f"{hits.coverage:.0%} of the question's informative words are in the best passages"
