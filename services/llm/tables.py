"""What does a row of a table say, told together with the heads of its columns?

Four kinds are read: Markdown (``| a | b |``), cells with bars between (``a | b``), comma-separated
lines, and rows that lost their rules, as the text of a PDF has them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

LINE = re.compile(r"[^\n]*\S[^\n]*")
PIPED = re.compile(r"\|(.*)\|$")
BARRED = " | "
COMMA = re.compile(r",(?! )")
RULE = re.compile(r"[ \t]*:?-{2,}:?[ \t]*$")
CAPTION = re.compile(r"(?:table|figure|表|图)\s*\d", re.IGNORECASE)
CLOSED = re.compile(r"[.。!！?？;；:：,，…]$|[.!?] [A-Z]|[。！？；]")
DIGIT = re.compile(r"\d")
MIN_COMMAS, MIN_LOOSE = 2, 3
SHARE_WITH_DIGITS = 0.6


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table.

    Attributes:
        start, end: character offsets in the text, without the blanks around the line.
        told: its cells, each behind the head of its column; empty for heads and rules.
    """

    start: int
    end: int
    told: str


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    text: str
    kind: str

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def rows(text: str) -> Iterator[Row]:
    """Every line of every table."""
    lines = [_line(match, text) for match in LINE.finditer(text)]
    for kind, group in groupby(lines, key=lambda line: line.kind):
        run = list(group)
        if kind in READ:
            yield from READ[kind](run, text)


def _line(match: re.Match[str], text: str) -> _Line:
    stripped = match.group().strip()
    kind = _kind(stripped, goes_on=text[match.end() + 1 : match.end() + 2].islower())
    return _Line(match.start() + match.group().index(stripped), stripped, kind)


def _kind(line: str, *, goes_on: bool) -> str:
    if PIPED.match(line):
        return "piped"
    if BARRED in line:
        return "barred"
    if len(COMMA.findall(line)) >= MIN_COMMAS:
        return "commas"
    if CAPTION.match(line):
        return "caption"
    is_prose = goes_on or CLOSED.search(line) or line.startswith(("#", "-", "*", ">", "`"))
    return "prose" if is_prose else "loose"


def _piped(run: Sequence[_Line], text: str) -> Iterator[Row]:  # noqa: ARG001 - the shape of every reader
    """The first line before a rule holds the heads."""
    cells = [_cells(line.text[1:-1]) for line in run]
    are_rules = [all(RULE.match(cell) for cell in some) for some in cells]
    heads: list[str] = []
    for i, line in enumerate(run):
        is_head = i + 1 < len(run) and are_rules[i + 1]
        heads = cells[i] if is_head else heads
        yield Row(line.start, line.end, "" if is_head or are_rules[i] else _told(heads, cells[i]))


def _barred(run: Sequence[_Line], text: str) -> Iterator[Row]:
    """The first line holds the heads, unless the passage starts in the middle of the table."""
    has_heads = len(run) > 1 and bool(text[: run[0].start].strip())
    return _below([(line, _cells(line.text)) for line in run], has_heads=has_heads)


def _commas(run: Sequence[_Line], text: str) -> Iterator[Row]:  # noqa: ARG001 - the shape of every reader
    """Heads are words without quotes and digits, above lines of as many fields."""
    if len(run) < 2:
        return iter(())
    fields = [next(csv.reader([line.text])) for line in run]
    first = run[0].text
    has_heads = not (DIGIT.search(first) or '"' in first or " " in first or "" in fields[0])
    return _below(list(zip(run, fields, strict=True)), has_heads=has_heads)


def _loose(run: Sequence[_Line], text: str) -> Iterator[Row]:  # noqa: ARG001 - the shape of every reader
    """A line without a digit above lines that mostly have one; anything else is no table."""
    if len(run) < MIN_LOOSE or DIGIT.search(run[0].text):
        return
    below = run[1:]
    if sum(bool(DIGIT.search(line.text)) for line in below) < SHARE_WITH_DIGITS * len(below):
        return
    yield Row(run[0].start, run[0].end, "")
    for line in below:
        yield Row(line.start, line.end, f"{run[0].text}: {line.text}")


READ: dict[str, Callable[[Sequence[_Line], str], Iterator[Row]]] = {
    "piped": _piped,
    "barred": _barred,
    "commas": _commas,
    "loose": _loose,
}


def _below(lines: Sequence[tuple[_Line, list[str]]], *, has_heads: bool) -> Iterator[Row]:
    heads = lines[0][1] if has_heads else []
    for i, (line, cells) in enumerate(lines):
        yield Row(line.start, line.end, "" if has_heads and i == 0 else _told(heads, cells))


def _cells(inside: str) -> list[str]:
    return [cell.strip() for cell in inside.replace(r"\|", "/").split("|")]


def _told(heads: Sequence[str], cells: Sequence[str]) -> str:
    if len(heads) != len(cells):
        return " ".join(cells)
    return "; ".join(f"{head} {cell}" for head, cell in zip(heads, cells, strict=True) if cell)
