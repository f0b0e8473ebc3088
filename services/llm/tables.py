"""What does a row of a Markdown table say, told together with the heads of its columns?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

ROW = re.compile(r"^[ \t]*\|(.*)\|[ \t]*$", re.MULTILINE)
RULE = re.compile(r"^[ \t]*:?-{2,}:?[ \t]*$")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table.

    Attributes:
        start, end: character offsets in the text.
        told: its cells, each behind the head of its column; empty for heads and rules.
    """

    start: int
    end: int
    told: str


def rows(text: str) -> Iterator[Row]:
    """Every line of every table; the first line before a rule holds the heads."""
    lines = [(match.start(), match.end(), _cells(match.group(1))) for match in ROW.finditer(text)]
    heads: list[str] = []
    for i, (start, end, cells) in enumerate(lines):
        is_rule = all(RULE.match(cell) for cell in cells)
        if i + 1 < len(lines) and all(RULE.match(cell) for cell in lines[i + 1][2]):
            heads = cells
            yield Row(start, end, "")
        else:
            yield Row(start, end, "" if is_rule else _told(heads, cells))


def _cells(inside: str) -> list[str]:
    return [cell.strip() for cell in inside.replace(r"\|", "/").split("|")]


def _told(heads: list[str], cells: list[str]) -> str:
    if len(heads) != len(cells):
        return " ".join(cells)
    return "; ".join(f"{head} {cell}" for head, cell in zip(heads, cells, strict=True) if cell)
