"""What is said of a hit: where it stands, its score on each signal, and how it came to its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from clients.index import Hit
from ui import units
from ui.labels import Labels


def signals(hit: Hit, labels: Labels) -> list[str]:
    """Its final score unless it is that of its only signal, then every signal that took part with its rank."""
    told = [_signal(hit, name, score, labels) for name, score in taking_part(hit).items()]
    if list(hit.scores.values()) == [hit.score]:
        return told
    final = labels("why.signal_unranked", signal=labels.word("why.signals", hit.score_kind), score=number(hit.score))
    return [final, *told]


def taking_part(hit: Hit) -> dict[str, float]:
    """The signals that say something; a keyword score of 0 means that no word was found, its rank is of no account."""
    return {name: score for name, score in hit.scores.items() if score or name != "keyword"}


def _signal(hit: Hit, name: str, score: float, labels: Labels) -> str:
    word = labels.word("why.signals", name)
    if name in hit.ranks:
        return labels("why.signal", signal=word, score=number(score), rank=hit.ranks[name])
    return labels("why.signal_unranked", signal=word, score=number(score))


def copies(hit: Hit, labels: Labels) -> str:
    """In how many chunks the same text stands; empty when it is the only one."""
    return labels("why.copies", count=hit.num_copies) if hit.num_copies > 1 else ""


def stages(timings: Mapping[str, float], labels: Labels) -> str:
    """Each stage with its time."""
    return " · ".join(f"{labels.word('why.stage', stage)} {units.took(s)}" for stage, s in timings.items())


def explained(hit: Hit, labels: Labels) -> str:
    """How it came to its place, as a sentence."""
    by = [name for name in taking_part(hit) if name in ("dense", "keyword")]
    if by == ["dense"] and "keyword" in hit.scores:
        told = labels("hit.by_meaning_only", rank=hit.ranks.get("dense", 0))
    else:
        told = labels("hit.by", ways=_listed((_by(name, hit, labels) for name in by), labels))
    if "rerank" in hit.ranks:
        told += labels("hit.reranked", rank=hit.ranks["rerank"])
    return told + labels("hit.stop")


def _by(name: str, hit: Hit, labels: Labels) -> str:
    return labels(f"hit.{name}", rank=hit.ranks.get(name, 0))


def _listed(parts: Iterable[str], labels: Labels) -> str:
    return labels("hit.and").join(parts)


def number(value: float) -> str:
    """A score with as many digits as it needs."""
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"
