"""How is a document's text cut into chunks: at sentences, below their headings, nothing lost."""

from __future__ import annotations

import re
import sqlite3
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from clients.errors import BadRequest
from clients.index import Chunking

from .chunks import Piece
from .loaders import Heading, Loaded
from .paragraphs import passages
from .regions import regions
from .sentences import cut_to_width, line_spans, sentences, width

MIN_SIZE, MAX_SIZE = 16, 20_000
SEPARATOR = " > "
SCRAP = 0.25
MAX_LABEL_CHARS = 80
# A parent is so many times as wide as the chunks that it is found by.
PARENT_TIMES = 4
# Cells as the loaders write them; a bar inside a cell has a backslash before it.
BAR = re.compile(r"(?<!\\) \| ")
RULE = re.compile(r"-{3}(?: \| -{3})+\s*")


@dataclass(frozen=True, slots=True)
class Unit:
    """A span that is not cut any further.

    Attributes:
        width: of the text without the white space at its end.
        full_width: with it.
        can_start: whether a chunk may begin here as a repeat of the one before.
        is_heading: a line that belongs to what follows.
    """

    start: int
    end: int
    width: int
    full_width: int
    can_start: bool = True
    is_heading: bool = False


def check(chunking: Chunking) -> None:
    """BadRequest when size and overlap do not fit."""
    if not MIN_SIZE <= chunking.size <= MAX_SIZE:
        raise BadRequest(f"chunk size {chunking.size}: {MIN_SIZE} to {MAX_SIZE} characters")
    if not 0 <= chunking.overlap < chunking.size:
        raise BadRequest(
            f"an overlap of {chunking.overlap} with chunks of {chunking.size}: it is at least 0 and less than the size",
            help="an eighth of the size is a good overlap",
        )
    if chunking.by_line and chunking.strategy != "sentences":
        raise BadRequest(f"by_line and strategy '{chunking.strategy}' exclude each other", help="leave one of them out")


def of_record(row: sqlite3.Row) -> Chunking:
    """How a document or a job on record is cut."""
    return Chunking(row["size"], row["overlap"], bool(row["by_line"]), row["strategy"])


def values_of(chunking: Chunking) -> tuple[int, int, bool, str]:
    """What is put on record: size, overlap, by_line, strategy."""
    return chunking.size, chunking.overlap, chunking.by_line, chunking.strategy


def chunk(document: Loaded, chunking: Chunking) -> Iterator[Piece]:
    """Cut a document.

    Every character but white space is in a chunk, ``text[start:end]`` is the chunk's text, and no
    chunk is wider than ``chunking.size``. With ``by_line`` each line that is not empty is a chunk. Passages
    of whole paragraphs are as long as their words allow, whatever the size; the bars between cells are in no chunk.
    With parents, chunks that follow one another below one heading share a parent, up to four times the size.

    Raises:
        BadRequest: size and overlap do not fit.
    """
    check(chunking)
    pieces = _pieces(document, chunking)
    return _with_parents(document.text, pieces, chunking.size) if chunking.strategy == "parents" else pieces


def _pieces(document: Loaded, chunking: Chunking) -> Iterator[Piece]:
    marks = _Marks(document)
    for start, end in _spans(document, chunking):
        if piece := marks.piece(start, end):
            yield _in_row(document.text, piece) if chunking.strategy == "cells" else piece


def _with_parents(text: str, pieces: Iterator[Piece], size: int) -> Iterator[Piece]:
    """Number the sections: a heading or too much text begins the next."""
    number, first = -1, Piece("", 0, 0)
    for piece in pieces:
        fits = width(text[first.start : piece.end]) <= PARENT_TIMES * size
        if number < 0 or piece.heading != first.heading or not fits:
            number, first = number + 1, piece
        yield replace(piece, parent=number)


def _spans(document: Loaded, chunking: Chunking) -> Iterator[tuple[int, int]]:
    if chunking.strategy == "paragraphs":
        return passages(document)
    if chunking.strategy == "cells":
        return _by_cell(document, chunking.size)
    if chunking.strategy == "parents":
        chunking = replace(chunking, overlap=0)
    if chunking.by_line:
        return _by_line(document, chunking.size)
    return _packed(_units(document, chunking.size), chunking, document.pages)


def _by_cell(document: Loaded, size: int) -> Iterator[tuple[int, int]]:
    """The cells of tables, which are lines elsewhere; the line below a table's titles says nothing."""
    text = document.text
    for start, end in line_spans(text, 0, len(text)):
        if RULE.fullmatch(text, start, end):
            continue
        at = start
        for bar in BAR.finditer(text, start, end):
            yield from cut_to_width(text, at, bar.start(), size)
            at = bar.end()
        yield from cut_to_width(text, at, _trimmed(text, at, end), size)


def _in_row(text: str, piece: Piece) -> Piece:
    """A cell below what begins its row, which says what the value is of: ``Prices > Fruit: Apple``."""
    begin = text.rfind("\n", 0, piece.start) + 1
    bar = BAR.search(text, begin, piece.start)
    if bar is None:
        return piece
    label = text[begin : bar.start()].strip()[:MAX_LABEL_CHARS]
    return replace(piece, heading=SEPARATOR.join(filter(None, (piece.heading, label))))


def _by_line(document: Loaded, size: int) -> Iterator[tuple[int, int]]:
    for start, end in line_spans(document.text, 0, len(document.text)):
        yield from cut_to_width(document.text, start, _trimmed(document.text, start, end), size)


def _packed(units: Iterator[Unit], chunking: Chunking, pages: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Join units to chunks: as many as fit, beginning with a repeat of the last sentences before.

    A new page begins a new chunk, so that a citation names the page where its words stand, unless
    that would leave a scrap behind.
    """
    held: list[Unit] = []
    total = 0
    for unit in units:
        opens_part = unit.is_heading and any(u.width and not u.is_heading for u in held)
        if held and total >= chunking.size * SCRAP:
            opens_part |= bisect_right(pages, unit.start) > bisect_right(pages, held[0].start)
        if held and (opens_part or total + unit.width > chunking.size):
            yield held[0].start, held[-1].end
            room = 0 if opens_part else min(chunking.overlap, chunking.size - unit.width)
            held = _repeat(held, room)
            total = sum(u.full_width for u in held)
        held.append(unit)
        total += unit.full_width
    if held:
        yield held[0].start, held[-1].end


def _repeat(held: list[Unit], room: int) -> list[Unit]:
    """The last units of a chunk that fit into the room and begin at a sentence."""
    start, total = len(held), 0
    for i in range(len(held) - 1, 0, -1):
        total += held[i].full_width
        if total > room or held[i].is_heading:
            break
        if held[i].can_start:
            start = i
    return held[start:]


def _units(document: Loaded, size: int) -> Iterator[Unit]:
    for start, end, kind in regions(document):
        if kind == "block":
            yield from _whole(document.text, start, end, size)
        else:
            spans = sentences if kind == "text" and not document.is_lines else line_spans
            for span in spans(document.text, start, end):
                yield from _fitted(document.text, span, size, is_heading=kind == "heading")


def _whole(text: str, start: int, end: int, size: int) -> Iterator[Unit]:
    """A block as one unit where it fits, else its lines."""
    unit = _unit(text, start, end)
    if unit.width <= size:
        yield unit
        return
    for span in line_spans(text, start, end):
        yield from _fitted(text, span, size)


def _fitted(text: str, span: tuple[int, int], size: int, *, is_heading: bool = False) -> Iterator[Unit]:
    unit = _unit(text, *span, is_heading=is_heading)
    if unit.width <= size:
        yield unit
        return
    for number, (start, end) in enumerate(cut_to_width(text, *span, size)):
        yield _unit(text, start, end, can_start=number == 0, is_heading=is_heading)


def _unit(text: str, start: int, end: int, *, can_start: bool = True, is_heading: bool = False) -> Unit:
    full = text[start:end]
    full_width = width(full)
    return Unit(start, end, full_width - (len(full) - len(full.rstrip())), full_width, can_start, is_heading)


def _trimmed(text: str, start: int, end: int) -> int:
    return start + len(text[start:end].rstrip())


class _Marks:
    """Pages and headings by offset; offsets come in rising order, so headings are walked once."""

    def __init__(self, document: Loaded) -> None:
        self._document = document
        self._next = 0
        self._path: list[Heading] = []

    def piece(self, start: int, end: int) -> Piece | None:
        """The chunk of a span without the white space around it; None when that is all there is."""
        text = self._document.text
        full = text[start:end]
        body = full.strip()
        if not body:
            return None
        first = start + len(full) - len(full.lstrip())
        page = bisect_right(self._document.pages, first)
        return Piece(body, first, first + len(body), page, self._heading(first))

    def _heading(self, offset: int) -> str:
        headings = self._document.headings
        at = offset
        while self._next < len(headings) and headings[self._next].start <= at:
            heading = headings[self._next]
            self._path = [h for h in self._path if h.level < heading.level] + [heading]
            self._next += 1
            # A chunk that begins with headings stands below all of them.
            at = heading.end + 2 if heading.start >= offset else at
        return SEPARATOR.join(h.title for h in self._path)
