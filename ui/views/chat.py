"""What the page of questions and answers shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from clients.answers import Answer, Decision
from clients.index import Hit
from ui import units
from ui.exchanges import Exchange
from ui.labels import Labels
from ui.prose import Block, Span, quoted, shortened, written

from .passage import Target, of_citation, of_hit, place

MAX_NAME_CHARS = 40
How = Literal["quoted", "written", "absent", "stopped", "unknown"]


@dataclass(frozen=True, slots=True)
class Source:
    """A cited passage in the row below an answer."""

    label: str
    target: Target


@dataclass(frozen=True, slots=True)
class Said:
    """An answer, or as much of it as there is.

    Attributes:
        targets: what the chips in ``blocks`` open, by their number.
        how: how the answer came about.
        footnote: one quiet line below it.
    """

    blocks: list[Block]
    targets: list[Target]
    how: How
    sources: list[Source] = field(default_factory=list)
    footnote: str = ""


def said(exchange: Exchange, labels: Labels) -> Said:
    """The answer of an exchange as it stands now."""
    answer = exchange.answer
    if answer is None:
        return _unfinished(exchange, labels)
    if answer.kind == "none":
        return Said([], [of_hit(hit) for hit in exchange.hits[:1]], "absent")
    targets = [of_citation(cited) for cited in answer.citations]
    numbers = {cited.marker: i for i, cited in reversed(list(enumerate(answer.citations)))}
    is_quoted = answer.kind == "extractive"
    blocks = quoted(answer.text, numbers, in_order=_is_in_order(answer)) if is_quoted else written(answer.text, numbers)
    return Said(
        blocks, targets, "quoted" if is_quoted else "written", sources(answer, labels), footnote(answer, labels)
    )


def _unfinished(exchange: Exchange, labels: Labels) -> Said:
    """What is there so far: its markers mean the hits, since citations come at the end."""
    targets = [of_hit(hit) for hit in exchange.hits]
    blocks = written(exchange.text, {i + 1: i for i in range(len(targets))})
    note = labels("chat.stopped") if exchange.is_stopped else ""
    return Said(blocks, targets, "stopped" if exchange.is_stopped else "unknown", footnote=note)


def _is_in_order(answer: Answer) -> bool:
    """Whether paragraph i of the answer is citation i, as in an answer of quoted sentences."""
    paragraphs = [piece for piece in answer.text.split("\n\n") if piece.strip()]
    return len(paragraphs) == len(answer.citations) and all(
        piece.endswith(f"[{cited.marker}]") for piece, cited in zip(paragraphs, answer.citations, strict=True)
    )


def sources(answer: Answer, labels: Labels) -> list[Source]:
    """Each cited passage once, in the order of its number."""
    firsts = {cited.marker: cited for cited in reversed(answer.citations)}
    return [
        Source(_source_label(marker, of_citation(firsts[marker]), labels), of_citation(firsts[marker]))
        for marker in sorted(firsts)
    ]


def _source_label(marker: int, target: Target, labels: Labels) -> str:
    page = labels("passage.page", page=target.page) if target.page else ""
    return " · ".join(filter(None, [str(marker), shortened(target.document, MAX_NAME_CHARS), page]))


def footnote(answer: Answer, labels: Labels) -> str:
    """How the answer came about, and how long it took."""
    how = labels("chat.written", model=answer.model) if answer.kind == "written" else labels("chat.extractive")
    by_keyword = labels("chat.fallback") if answer.decision.route == "fallback" else ""
    total_s = _total_s(answer)
    return " · ".join(filter(None, [how, by_keyword, units.took(total_s) if total_s else ""]))


def _total_s(answer: Answer) -> float:
    """Seconds of all stages; ``first_token`` is a part of ``generate``."""
    return sum(seconds for stage, seconds in answer.timings.items() if stage != "first_token")


def absent_reason(decision: Decision, hits: Sequence[Hit], labels: Labels) -> str:
    """Why there is no answer."""
    if not hits:
        return labels("chat.absent_nothing")
    return labels("chat.absent_why", confidence=f"{decision.confidence:.2f}", threshold=f"{decision.threshold:.2f}")


def progress(exchange: Exchange, labels: Labels) -> str:
    """What is going on before the first word."""
    return labels("chat.reading", count=len(exchange.hits)) if exchange.hits else labels("chat.searching")


def why(exchange: Exchange, labels: Labels) -> Said:
    """Why this answer: what was searched for, what was found with which scores, how long it took."""
    blocks = [Block([Span(labels("why.query"), "quiet"), Span(exchange.query or exchange.question)])]
    if exchange.decision:
        blocks.append(Block([Span(_decided(exchange.decision, labels), "quiet")]))
    blocks.append(Block([Span(labels("why.hits" if exchange.hits else "why.no_hits"))], "heading"))
    blocks += [_hit_block(i, hit, labels) for i, hit in enumerate(exchange.hits)]
    if exchange.answer:
        blocks += _costs(exchange.answer, labels)
    return Said(blocks, [of_hit(hit) for hit in exchange.hits], "unknown")


def _decided(decision: Decision, labels: Labels) -> str:
    return labels(
        "why.decision", confidence=f"{decision.confidence:.2f}", threshold=f"{decision.threshold:.2f}",
        kind=labels("why.calibrated" if decision.calibrated else "why.default"), reason=decision.reason,
    )  # fmt: skip


def _hit_block(i: int, hit: Hit, labels: Labels) -> Block:
    where = place(hit.page, hit.heading, labels)
    spans = [Span(str(i + 1), "chip", i), Span(" "), Span(hit.document, "strong")]
    if where:
        spans.append(Span(f" · {where}", "quiet"))
    return Block([*spans, Span("\n"), Span(" · ".join(_signals(hit, labels)), "quiet")], "item")


def _signals(hit: Hit, labels: Labels) -> list[str]:
    final = labels("why.signal_unranked", signal=labels.word("why.signals", hit.score_kind), score=_score(hit.score))
    return [final, *(_signal(hit, name, score, labels) for name, score in hit.scores.items())]


def _signal(hit: Hit, name: str, score: float, labels: Labels) -> str:
    word = labels.word("why.signals", name)
    if name in hit.ranks:
        return labels("why.signal", signal=word, score=_score(score), rank=hit.ranks[name])
    return labels("why.signal_unranked", signal=word, score=_score(score))


def _costs(answer: Answer, labels: Labels) -> list[Block]:
    stages = [f"{labels.word('why.stage', stage)} {units.took(s)}" for stage, s in answer.timings.items()]
    blocks = [Block([Span(labels("why.timings"), "quiet"), Span(" · ".join(stages))])] if stages else []
    if answer.notes:
        blocks.append(Block([Span(labels("why.notes"), "quiet"), Span("; ".join(answer.notes))]))
    return blocks


def _score(value: float) -> str:
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"
