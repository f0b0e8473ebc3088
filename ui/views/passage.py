"""What the drawer with a cited passage shows: where it stands, what is cited, and what is around it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clients.answers import Citation
from clients.index import Chunk, Hit, Passage
from ui.labels import Labels
from ui.prose import Block, Span


@dataclass(frozen=True, slots=True)
class Target:
    """A passage that a number in an answer opens.

    Attributes:
        text: the passage as it was when the answer was made.
        quote: the cited words; empty when the whole passage is meant.
        start, end: where the quote stood in ``text``.
        num_copies: how many chunks have this text.
    """

    chunk_id: str
    document: str
    text: str
    quote: str = ""
    start: int = 0
    end: int = 0
    page: int = 0
    heading: str = ""
    num_copies: int = 1


def of_citation(cited: Citation, num_copies: int = 1) -> Target:
    """The passage that a citation means."""
    return Target(
        cited.chunk_id,
        cited.document,
        cited.text,
        cited.quote,
        cited.start,
        cited.end,
        cited.page,
        cited.heading,
        num_copies,
    )


def of_hit(hit: Hit) -> Target:
    """The passage of a hit."""
    return Target(hit.chunk_id, hit.document, hit.text, page=hit.page, heading=hit.heading, num_copies=hit.num_copies)


def place(page: int, heading: str, labels: Labels) -> str:
    """Page and heading on one line; empty when the format has neither."""
    return " · ".join(filter(None, [labels("passage.page", page=page) if page else "", heading]))


@dataclass(frozen=True, slots=True)
class Shown:
    """The drawer's content.

    Attributes:
        document_id: empty when the passage is not in the collection any more.
        source: URL of the web page that the document is; empty for all else.
        copies: in how many chunks the same text stands; empty when it is the only one.
    """

    document: str
    document_id: str
    place: str
    blocks: list[Block]
    source: str = ""
    copies: str = ""


def shown(target: Target, passage: Passage, labels: Labels) -> Shown:
    """The passage with its neighbours, the cited words marked."""
    chunk = passage.chunk
    before = _joined(_before(passage.before, chunk))
    after = _joined(_after(chunk, passage.after))
    blocks = [Block([Span(before)], "quiet")] if before else []
    blocks.append(Block(marked(chunk.text, target)))
    blocks += [Block([Span(after)], "quiet")] if after else []
    document = passage.document
    copies = labels("why.copies", count=target.num_copies) if target.num_copies > 1 else ""
    where = place(chunk.page, chunk.heading, labels)
    return Shown(document.name, document.id, where, blocks, document.source, copies)


def remembered(target: Target, labels: Labels) -> Shown:
    """What the answer itself still knows of a passage that is gone."""
    blocks = [Block(marked(target.text, target))] if target.text else []
    return Shown(target.document, "", place(target.page, target.heading, labels), blocks)


def _before(neighbours: Sequence[Chunk], chunk: Chunk) -> list[str]:
    """What stands before the chunk, without the overlap that is repeated in it."""
    texts: list[str] = []
    following = chunk
    for neighbour in reversed(neighbours):
        keep = max(0, following.start - neighbour.start) if neighbour.end > following.start else len(neighbour.text)
        texts.insert(0, neighbour.text[:keep])
        following = neighbour
    return texts


def _after(chunk: Chunk, neighbours: Sequence[Chunk]) -> list[str]:
    """What stands after the chunk, without the overlap that repeats it."""
    texts = []
    end = chunk.end
    for neighbour in neighbours:
        texts.append(neighbour.text[max(0, end - neighbour.start) :])
        end = max(end, neighbour.end)
    return texts


def _joined(texts: Sequence[str]) -> str:
    return "\n".join(filter(None, (text.strip() for text in texts)))


def marked(text: str, target: Target) -> list[Span]:
    """The text with the cited words marked; nothing is marked when they cannot be found for sure."""
    found = located(text, target)
    if found is None:
        return [Span(text)]
    start, end = found
    spans = [Span(text[:start]), Span(text[start:end], "mark"), Span(text[end:])]
    return [span for span in spans if span.text]


def located(text: str, target: Target) -> tuple[int, int] | None:
    """Where the quote stands in a text that may have changed since: by place, else where it occurs just once."""
    quote = target.quote
    if not quote.strip():
        return None
    if text[target.start : target.end] == quote:
        return target.start, target.end
    words = r"\s+".join(re.escape(word) for word in quote.split())
    found = list(re.finditer(words, text))
    return found[0].span() if len(found) == 1 else None
