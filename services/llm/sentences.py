"""Where does each sentence of a passage start and end?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from .headings import heads
from .tables import rows

MAX_CHARS = 480
ENDS = re.compile(
    r"""[。！？；!?]+[」』”’）)"']*(?:\s+|(?=\S))     # an end that needs no space behind it
      | (?<=[.…])["'”’)\]]*\s+(?=["'“‘(\[]*(?:[^\Wa-z]|`))    # a full stop, a space, then no small letter
      | [ \t]*\n\s*\n\s*                              # a blank line
      | [ \t]*\n\s*(?=[-*•#|>]|\d+[.)]\s)             # a list item, a heading, a row of a table
      | (?<=\|)[ \t]*\n
    """,
    re.VERBOSE,
)
SPACE_BEHIND = re.compile(r"[!?]")
ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|No|Nr|vs|etc|e\.g|i\.e|cf|Fig|Figs|Eq|Sec|Vol|pp|al|approx|Inc|Ltd|Co|Corp|U\.S)\.$"
)
LONGEST_ABBREVIATION = 10
BLOCK = re.compile(r"(?:[^\n]*\S[^\n]*\n?)+")
SHORT_LINE = 0.75
FENCED = re.compile(r"^```[^\n]*\n.*?\n```[ \t]*$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"#{1,6} [^\n]*\n")


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Where each sentence starts and ends; what is without a letter or digit is left out."""
    for start, end in _spans(text):
        for piece_start, piece_end in _pieces(text, start, end):
            stripped = text[piece_start:piece_end].strip()
            if any(character.isalnum() for character in stripped):
                begin = text.index(stripped, piece_start)
                yield begin, begin + len(stripped)


def _spans(text: str) -> Iterator[tuple[int, int]]:
    wholes = _wholes(text)
    ends = {match.end() for match in ENDS.finditer(text) if _is_end(text, match)} | set(_short_lines(text))
    inside = {end for end in ends for start, stop in wholes if start < end < stop}
    start = 0
    for end in sorted((ends - inside) | {edge for whole in wholes for edge in whole}):
        yield start, end
        start = end
    yield start, len(text)


def _wholes(text: str) -> list[tuple[int, int]]:
    """What is quoted whole or not at all: rows of tables, headings, and code between fences."""
    in_rows = [(row.start, row.end) for row in rows(text)]
    of_heads = [(head.start, head.end) for head in heads(text) if head.start < head.end]
    return in_rows + of_heads + [match.span() for match in FENCED.finditer(text)]


def _short_lines(text: str) -> Iterator[int]:
    """Ends of lines that stop well before the longest and are not followed by a small letter.

    In wrapped prose every line but the last is nearly full; lines of a table that lost its rules are not.
    """
    for block in BLOCK.finditer(text):
        lines = block.group().splitlines(keepends=True)
        full = SHORT_LINE * max(map(len, lines))
        at = block.start()
        for line, following in pairwise(lines):
            at += len(line)
            if len(line) < full and not following.lstrip()[:1].islower():
                yield at


def _is_end(text: str, match: re.Match[str]) -> bool:
    if SPACE_BEHIND.match(match.group()) and not match.group()[-1].isspace():
        return match.end() == len(text)
    return not ABBREVIATION.search(text[max(0, match.start() - LONGEST_ABBREVIATION) : match.start()])


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A heading apart from what follows it; a run-on sentence in parts."""
    heading = HEADING.match(text, start, end)
    if heading:
        yield start, heading.end()
        start = heading.end()
    while end - start > MAX_CHARS:
        cut = (
            max(
                text.rfind(mark, start + MAX_CHARS // 2, start + MAX_CHARS)
                for mark in (", ", "; ", "，", "、", "；", "\n", " ")
            )
            + 1
        )
        cut = cut or start + MAX_CHARS
        yield start, cut
        start = cut
    yield start, end
