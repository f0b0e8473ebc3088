"""Which paragraphs make a passage: whole ones, put together until there is enough to understand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .loaders import Loaded
from .loaders.base import CJK
from .regions import regions
from .sentences import line_spans, sentences

MIN_WORDS, MAX_WORDS = 50, 200
EMPTY_LINE = re.compile(r"\n[^\S\n]*\n\s*")
WIDE = f"{CJK}\u3000-\u303f\uff01-\uff65"
WORD = re.compile(rf"[{WIDE}]|[^\s{WIDE}]+")
IS_WIDE = re.compile(f"[{WIDE}]")
# Two Chinese characters carry about as much as a word; what is longer than a word can be is several.
LONGEST_WORD = 20


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the text that is not cut any further, with the number of its words."""

    start: int
    end: int
    num_words: float
    is_heading: bool = False


def num_words(text: str) -> float:
    """Words of a text: two Chinese characters count as one, a longer string as one for each 20 characters."""
    return sum(_weight(match.group()) for match in WORD.finditer(text))


def _weight(word: str) -> float:
    return 0.5 if IS_WIDE.match(word) else -(-len(word) // LONGEST_WORD)


def passages(document: Loaded) -> Iterator[tuple[int, int]]:
    """The passages of a document as spans that touch.

    Paragraphs stand between empty lines. They are joined until there are 50 words; a passage has at
    most 200, and has fewer than 50 only where more would be too many. A heading stays with what follows.
    """
    before: list[Span] = []
    for held in _gathered(_pieces(document)):
        if before and not _fits(before, held):
            yield before[0].start, before[-1].end
            before = held
        else:
            before = before + held
    if before:
        yield before[0].start, before[-1].end


def _fits(before: Sequence[Span], held: Sequence[Span]) -> bool:
    """Whether a scrap may go to its neighbour."""
    one, other = _total(before), _total(held)
    return min(one, other) < MIN_WORDS and one + other <= MAX_WORDS


def _gathered(pieces: Iterator[Span]) -> Iterator[list[Span]]:
    held: list[Span] = []
    for piece in pieces:
        is_enough = _total(held) >= MIN_WORDS and not held[-1].is_heading
        if held and (is_enough or _total(held) + piece.num_words > MAX_WORDS):
            kept = _without_headings(held)
            yield kept
            held = held[len(kept) :]
            if _total(held) + piece.num_words > MAX_WORDS:
                yield held
                held = []
        held.append(piece)
    if held:
        yield held


def _total(held: Sequence[Span]) -> float:
    return sum(span.num_words for span in held)


def _without_headings(held: list[Span]) -> list[Span]:
    """The spans without the headings at their end, which belong to what follows; all when there is nothing else."""
    last = next((n for n in range(len(held), 0, -1) if not held[n - 1].is_heading), len(held))
    return held[:last]


def _pieces(document: Loaded) -> Iterator[Span]:
    text = document.text
    for start, end, kind in regions(document):
        spans = _paragraphs(text, start, end) if kind == "text" else [(start, end)]
        for span in spans:
            yield from _cut(text, span, is_heading=kind == "heading")


def _paragraphs(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = start
    for match in EMPTY_LINE.finditer(text, start, end):
        yield at, match.end()
        at = match.end()
    if at < end:
        yield at, end


def _cut(text: str, span: tuple[int, int], *, is_heading: bool) -> Iterator[Span]:
    """A paragraph, or its sentences when it is too long, or their lines, or as many words as are allowed."""
    for splitter in (_whole, sentences, line_spans, _by_words):
        spans = [Span(s, e, num_words(text[s:e]), is_heading) for s, e in splitter(text, *span)]
        if all(piece.num_words <= MAX_WORDS for piece in spans):
            yield from spans
            return


def _whole(_text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    yield start, end


def _by_words(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Spans of 200 words at most; a string without spaces is cut where it gets too long."""
    at, total = start, 0.0
    for match in WORD.finditer(text, start, end):
        for place in range(match.start(), match.end(), LONGEST_WORD):
            weight = _weight(match.group()[: min(LONGEST_WORD, match.end() - place)])
            if total + weight > MAX_WORDS:
                yield at, place
                at, total = place, 0.0
            total += weight
    if at < end:
        yield at, end
