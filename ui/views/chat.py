"""What the page of questions and answers shows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from clients.answers import Answer
from clients.index import Hit
from ui import units
from ui.exchanges import Exchange
from ui.labels import Labels
from ui.prose import Block, Span, quoted, shortened, written
from ui.told import told

from . import hits
from .decision import decided
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
    copies = {hit.chunk_id: hit.num_copies for hit in exchange.hits}
    targets = [of_citation(cited, copies.get(cited.chunk_id, 1)) for cited in answer.citations]
    numbers = {cited.marker: i for i, cited in reversed(list(enumerate(answer.citations)))}
    if answer.kind == "extractive":
        quotes = _without_echo(quoted(answer.text, numbers, in_order=_is_in_order(answer)), exchange.question)
        blocks = _with_sources(quotes, targets, labels)
        return Said(blocks, targets, "quoted", footnote=footnote(answer, labels))
    return Said(
        written(answer.text, numbers), targets, "written", sources(answer, targets, labels), footnote(answer, labels)
    )


def _without_echo(quotes: Sequence[Block], question: str) -> list[Block]:
    """The quotes without one that only repeats the question, as a list of questions and answers has it."""
    asked = _letters(question)
    told_more = [quote for quote in quotes if _letters("".join(_said_words(quote))) != asked]
    return told_more or list(quotes)


def _said_words(quote: Block) -> list[str]:
    return [span.text for span in quote.spans if span.look != "chip"]


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _with_sources(quotes: Sequence[Block], targets: Sequence[Target], labels: Labels) -> list[Block]:
    """Below each run of quotes of one passage, the document that they stand in."""
    blocks: list[Block] = []
    runs = itertools.groupby(quotes, lambda quote: targets[_opens(quote)].chunk_id if _opens(quote) >= 0 else "")
    for chunk_id, run in runs:
        same = list(run)
        blocks += same
        if chunk_id:
            blocks.append(_cite(targets[_opens(same[0])], _opens(same[0]), labels))
    return blocks


def _opens(quote: Block) -> int:
    """The target of a quote's chip; -1 when it has none."""
    return quote.spans[-1].target


def _cite(target: Target, number: int, labels: Labels) -> Block:
    where = place(target.page, target.heading, labels)
    spans = [Span(target.document, "link", number)]
    return Block([*spans, Span(f" · {where}", "quiet")] if where else spans, "cite")


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


def sources(answer: Answer, targets: Sequence[Target], labels: Labels) -> list[Source]:
    """Each cited passage once, in the order of its number."""
    firsts = {cited.marker: target for cited, target in reversed(list(zip(answer.citations, targets, strict=True)))}
    return [Source(_source_label(marker, firsts[marker], labels), firsts[marker]) for marker in sorted(firsts)]


def _source_label(marker: int, target: Target, labels: Labels) -> str:
    page = labels("passage.page", page=target.page) if target.page else ""
    return " · ".join(filter(None, [str(marker), shortened(target.document, MAX_NAME_CHARS), page]))


def footnote(answer: Answer, labels: Labels) -> str:
    """How the answer came about, and how long it took."""
    how = labels("chat.written", model=answer.model) if answer.kind == "written" else labels("chat.extractive")
    by_keyword = labels("chat.fallback") if answer.decision.route == "fallback" else ""
    warning = "" if answer.is_grounded else labels("chat.ungrounded")
    total_s = _total_s(answer)
    limited = labels("chat.limited", documents=answer.within) if answer.within else ""
    return " · ".join(filter(None, [warning, how, by_keyword, limited, units.took(total_s) if total_s else ""]))


def _total_s(answer: Answer) -> float:
    """Seconds of all stages; ``first_token`` is a part of ``generate``."""
    return sum(seconds for stage, seconds in answer.timings.items() if stage != "first_token")


def progress(exchange: Exchange, labels: Labels) -> str:
    """What is going on before the first word."""
    return labels("chat.reading", count=len(exchange.hits)) if exchange.hits else labels("chat.searching")


def why(exchange: Exchange, labels: Labels) -> Said:
    """Why this answer: what was searched for, what was found with which scores, how long it took."""
    blocks = [Block([Span(labels("why.query"), "quiet"), Span(exchange.query or exchange.question)])]
    if exchange.decision:
        blocks.append(Block([Span(decided(exchange.decision, labels), "quiet")]))
    blocks.append(Block([Span(labels("why.hits" if exchange.hits else "why.no_hits"))], "heading"))
    blocks += [_hit_block(i, hit, labels) for i, hit in enumerate(exchange.hits)]
    if exchange.answer:
        blocks += _costs(exchange.answer, labels)
    return Said(blocks, [of_hit(hit) for hit in exchange.hits], "unknown")


def _hit_block(i: int, hit: Hit, labels: Labels) -> Block:
    where = place(hit.page, hit.heading, labels)
    spans = [Span(str(i + 1), "chip", i), Span(" "), Span(hit.document, "strong")]
    if where:
        spans.append(Span(f" · {where}", "quiet"))
    facts = filter(None, [*hits.signals(hit, labels), hits.copies(hit, labels)])
    return Block([*spans, Span("\n"), Span(" · ".join(facts), "quiet")], "item")


def _costs(answer: Answer, labels: Labels) -> list[Block]:
    stages = hits.stages(answer.timings, labels)
    blocks = [Block([Span(labels("why.timings"), "quiet"), Span(stages)])] if stages else []
    if answer.notes:
        blocks.append(
            Block([Span(labels("why.notes"), "quiet"), Span("; ".join(told(note, labels) for note in answer.notes))])
        )
    return blocks
