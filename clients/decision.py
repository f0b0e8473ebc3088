"""Can the collection answer this question? Decided from the search, before the first token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .answers import Decision, Route
from .followup import is_cjk
from .index import Hits
from .llm import Sentence

Situation = Literal["ranked", "plain", "across"]
MIN_RANKED, MIN_ACROSS = 5, 2
MAX_SHARED = 0.3


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

    def confidence(self, signals: Signals) -> float:
        """0 to 1."""
        logit = (
            self.bias + self.coverage * signals.coverage + self.sentence * signals.sentence + self.lift * signals.lift
        )
        return 1.0 / (1.0 + math.exp(-logit))


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


def confidence(hits: Hits, sentences: Sequence[Sentence], question: str = "") -> float:
    """0 to 1: how sure the search is that the answer is among its hits."""
    if not hits.hits:
        return 0.0
    signals = read_signals(hits, sentences, question)
    return WEIGHTS[signals.situation].confidence(signals)


def decide(
    hits: Hits, sentences: Sequence[Sentence], threshold: float, *, question: str = "", is_second: bool = False
) -> Decision:
    """The route for a search's outcome.

    Args:
        hits: what was found.
        sentences: the best sentences of the hits for this question.
        threshold: confidence needed to answer.
        question: as it was searched for.
        is_second: this was the keyword-only search after the first one did not suffice.
    """
    if not hits.hits:
        return Decision("absent", 0.0, threshold, "the search found nothing at all")
    sure = confidence(hits, sentences, question)
    if sure >= threshold:
        route: Route = "fallback" if is_second else "answer"
        return Decision(route, sure, threshold, _because(hits), coverage=hits.coverage)
    gap = f"confidence {sure:.2f} where {threshold:.2f} is needed"
    reason = f"the closest passages do not cover the question: {_because(hits)}; {gap}"
    return Decision("absent", sure, threshold, reason, coverage=hits.coverage)


def _is_across(question: str, hits: Hits) -> bool:
    return hits.coverage < MAX_SHARED and is_cjk(question) != is_cjk(hits.hits[0].text)


def _lift(similarities: Sequence[float]) -> float:
    mean = sum(similarities) / len(similarities)
    return (max(similarities) - mean) / (1.0 - mean) if mean < 1.0 else 0.0


def _because(hits: Hits) -> str:
    return f"{hits.coverage:.0%} of the question's informative words are in the best passages"
