"""Where are the headings, tables and code of a text that is written as text."""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections.abc import Iterator

from .base import Heading, Loaded

ATX = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
SETEXT = re.compile(r"^(?![ \t]*$)(?! {0,3}[-*+>|#])(.{1,200})\n {0,3}(=+|-{3,})[ \t]*$", re.MULTILINE)
FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n]*$", re.MULTILINE)
TABLE = re.compile(r"(?:^[ \t]*\|[^\n]*(?:\n|\Z)){2,}", re.MULTILINE)


def plain(text: str) -> Loaded:
    """A text without marks."""
    return Loaded(text, "text/plain")


def lines(text: str, media_type: str) -> Loaded:
    """A text in which each line stands for itself: a table of values, source code."""
    return Loaded(text, media_type, is_lines=True)


def markdown(text: str) -> Loaded:
    """Markdown, kept as it is written; headings inside code are none."""
    fences = list(_fences(text))
    tables = [span for span in _spans(TABLE, text) if not _is_inside(span[0], fences)]
    headings = [h for h in _headings(text) if not _is_inside(h.start, fences)]
    return Loaded(text, "text/markdown", headings=headings, blocks=sorted(fences + tables))


def _headings(text: str) -> list[Heading]:
    atx = [Heading(m.start(), m.end(), len(m[1]), m[2].strip()) for m in ATX.finditer(text)]
    setext = [Heading(m.start(), m.end(), 1 if m[2][0] == "=" else 2, m[1].strip()) for m in SETEXT.finditer(text)]
    return sorted(atx + setext, key=lambda heading: heading.start)


def _fences(text: str) -> Iterator[tuple[int, int]]:
    opened: re.Match[str] | None = None
    for match in FENCE.finditer(text):
        if opened is None:
            opened = match
        elif match[1].startswith(opened[1]):
            yield opened.start(), match.end()
            opened = None
    if opened is not None:
        yield opened.start(), len(text)


def _spans(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    return ((m.start(), m.start() + len(m.group().rstrip())) for m in pattern.finditer(text))


def _is_inside(offset: int, spans: list[tuple[int, int]]) -> bool:
    at = bisect_right(spans, (offset, sys.maxsize)) - 1
    return at >= 0 and offset < spans[at][1]
