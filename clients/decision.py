"""Can the collection answer this question? Decided from the search, before the first token."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .answers import Decision, Route
from .index import Hits
from .llm import Sentence

# Logistic weights over (best cosine, coverage, best sentence score), fitted on questions with and
# without their passage in the collection; docs/architecture.md says on which and how well.
WEIGHTS = (0.0, 6.0, 3.0)
BIAS = -4.5


def confidence(hits: Hits, sentences: Sequence[Sentence]) -> float:
    """0 to 1: how sure the search is that the answer is among its hits."""
    if not hits.hits:
        return 0.0
    dense = max((h.scores.get("dense", 0.0) for h in hits.hits), default=0.0)
    sentence = max((s.score for s in sentences), default=0.0)
    logit = BIAS + sum(w * x for w, x in zip(WEIGHTS, (dense, hits.coverage, sentence), strict=True))
    return 1.0 / (1.0 + math.exp(-logit))


def decide(hits: Hits, sentences: Sequence[Sentence], threshold: float, *, is_second: bool = False) -> Decision:
    """The route for a search's outcome.

    Args:
        hits: what was found.
        sentences: the best sentences of the hits for this question.
        threshold: confidence needed to answer.
        is_second: this was the keyword-only search after the first one did not suffice.
    """
    sure = confidence(hits, sentences)
    if not hits.hits:
        return Decision("absent", 0.0, threshold, "the search found nothing at all")
    if sure >= threshold:
        route: Route = "fallback" if is_second else "answer"
        return Decision(route, sure, threshold, _because(hits))
    gap = f"confidence {sure:.2f} where {threshold:.2f} is needed"
    return Decision(
        "absent", sure, threshold, f"the closest passages do not cover the question: {_because(hits)}; {gap}"
    )


def _because(hits: Hits) -> str:
    return f"{hits.coverage:.0%} of the question's informative words are in the best passages"
