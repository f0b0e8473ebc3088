"""Where do the sentences of a text begin, in Latin and in Chinese, Japanese and Korean writing."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .loaders.base import CJK

WIDE = re.compile(f"[{CJK}\u3000-\u303f\uff01-\uff60]")
CLOSING = "\"'”’」』）)\\]】》»"
BOUNDARY = re.compile(
    rf"""
      \n[^\S\n]*\n\s*                                       # an empty line
    | [。！？｡][。！？｡…]*[{CLOSING}]*\s*                      # the end of a Chinese sentence
    | (?<=[.!?…])[{CLOSING}]*\s+(?=[^\sa-z,;:])              # the end of a Latin one, unless it goes on in lower case
    | \n(?=[^\S\n]*(?:[-*+•·]|\d{{1,3}}[.)、])[^\S\n]+\S)      # a list item
    """,
    re.VERBOSE,
)
# A full stop after these ends no sentence.
ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“])(?:e\.g|i\.e|cf|vs|etc|al|approx|ca|Dr|Mr|Mrs|Ms|Prof|St|No|Nos|Fig|Figs|Eq|Sec|Vol|pp|Inc|Ltd|[A-Z])\.$"
)
REACH = 12
SOFT = re.compile(r"[,;:，；：、]\s*|\s+")


def width(text: str) -> int:
    """Length in characters of Latin script; a CJK character counts as two."""
    return len(text) if text.isascii() else len(text) + len(WIDE.findall(text))


def sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The sentences of ``text[start:end]`` as spans that touch; white space belongs to the one before."""
    at = start
    for match in BOUNDARY.finditer(text, start, end):
        cut = match.end()
        if cut <= at or (match.group()[0] in " \t\n" and _is_abbreviation(text, match.start())):
            continue
        yield at, cut
        at = cut
    if at < end:
        yield at, end


def _is_abbreviation(text: str, stop: int) -> bool:
    return text[stop - 1 : stop] == "." and ABBREVIATION.search(text[max(0, stop - REACH) : stop]) is not None


def line_spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The lines of ``text[start:end]`` as spans that touch."""
    at = start
    while at < end:
        found = text.find("\n", at, end)
        stop = end if found < 0 else found + 1
        yield at, stop
        at = stop


def cut_to_width(text: str, start: int, end: int, limit: int) -> Iterator[tuple[int, int]]:
    """Spans of ``text[start:end]`` that are no wider than ``limit``, cut at commas or spaces where there are some."""
    at = start
    while at < end:
        stop = _fitting(text, at, end, limit)
        if stop < end:
            soft = [m.end() for m in SOFT.finditer(text, at + (stop - at) // 2, stop)]
            stop = soft[-1] if soft else stop
        yield at, stop
        at = stop


def _fitting(text: str, start: int, end: int, limit: int) -> int:
    """The furthest place where ``text[start:place]`` is no wider than the limit; at least one character on."""
    stop = min(end, start + limit)
    while stop > start + 1 and (over := width(text[start:stop]) - limit) > 0:
        stop -= (over + 1) // 2
    return max(stop, start + 1)
