"""What stands on a page of a PDF, from top to bottom: lines of text with the size of their letters, and tables."""

from __future__ import annotations

import ctypes
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .ruled import Box, Grid, cell_at, grids
from .tables import SEPARATOR, escaped

MAX_PATHS = 3000
MAX_SEGMENTS = 1000
SIDES_OF_A_BOX = 5
LINE_END = "\r\n"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text, or a table as Markdown.

    Attributes:
        size: height of its letters in points, to a half; 0 where it is not known.
    """

    text: str
    size: float = 0.0
    is_table: bool = False


def page_lines(page: Any, text_page: Any) -> list[Line]:
    """The lines of a page, those of a ruled table put together."""
    raw: str = text_page.get_text_range()
    if len(raw) != text_page.count_chars():
        # Letters beyond 16 bits shift the places of those behind them.
        return [Line(text) for text in raw.split(LINE_END)]
    lines = list(_lines(raw))
    tables = [_Table(text_page, grid) for grid in _grids(page)]
    owners = [_owner(text_page, tables, start, text) for start, text in lines]
    for table in tables:
        table.take([place for place, owner in zip(lines, owners, strict=True) if owner is table])
    return list(_joined(text_page, lines, owners))


def _joined(text_page: Any, lines: list[tuple[int, str]], owners: list[_Table | None]) -> Iterator[Line]:
    written: set[int] = set()
    for (start, text), owner in zip(lines, owners, strict=True):
        if owner is None or not owner.is_whole:
            yield Line(text, _size(text_page, start, text))
        elif id(owner) not in written:
            written.add(id(owner))
            yield Line(owner.markdown(), is_table=True)


def _lines(raw: str) -> Iterator[tuple[int, str]]:
    at = 0
    for text in raw.split(LINE_END):
        yield at, text
        at += len(text) + len(LINE_END)


def _size(text_page: Any, start: int, text: str) -> float:
    first = len(text) - len(text.lstrip())
    if first == len(text):
        return 0.0
    _, bottom, _, top = text_page.get_charbox(start + first, loose=True)
    return float(round(2 * (top - bottom)) / 2)


def _grids(page: Any) -> list[Grid]:
    import pypdfium2.raw

    found = page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_PATH], max_depth=4)
    drawn = [box for path in itertools.islice(found, MAX_PATHS) for box in _drawn(path)]
    return grids(drawn, page.get_width() * page.get_height())


def _drawn(path: Any) -> list[Box]:
    """What a path covers; one that draws many lines at once counts as those."""
    import pypdfium2.raw

    number = pypdfium2.raw.FPDFPath_CountSegments(path)
    if not SIDES_OF_A_BOX < number <= MAX_SEGMENTS:
        return [path.get_bounds()]
    return [
        (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        for (x0, y0, _), (x1, y1, draws) in itertools.pairwise(_points(path, number))
        if draws
    ]


def _points(path: Any, number: int) -> Iterator[tuple[float, float, bool]]:
    """The points of a path on the page, and whether a line is drawn to each."""
    import pypdfium2.raw

    matrix = path.get_matrix()
    x, y = ctypes.c_float(), ctypes.c_float()
    for place in range(number):
        segment = pypdfium2.raw.FPDFPath_GetPathSegment(path, place)
        pypdfium2.raw.FPDFPathSegment_GetPoint(segment, x, y)
        draws = pypdfium2.raw.FPDFPathSegment_GetType(segment) == pypdfium2.raw.FPDF_SEGMENT_LINETO
        yield *matrix.on_point(x.value, y.value), draws


def _middle(text_page: Any, place: int) -> tuple[float, float]:
    left, bottom, right, top = text_page.get_charbox(place)
    return (left + right) / 2, (bottom + top) / 2


def _owner(text_page: Any, tables: list[_Table], start: int, text: str) -> _Table | None:
    """The table that the whole line stands in."""
    if not tables:
        return None
    places = [start + n for n, letter in enumerate(text) if not letter.isspace()]
    if not places:
        return None
    middles = [_middle(text_page, place) for place in places]
    inside = (table for table in tables if all(table.grid.holds(x, y) for x, y in middles))
    return next(inside, None)


class _Table:
    """A ruled table whose cells are filled letter by letter, so that none is lost between them."""

    def __init__(self, text_page: Any, grid: Grid) -> None:
        self.grid = grid
        self.is_whole = False
        self._text_page = text_page
        self._cells: dict[tuple[int, int], list[str]] = {}

    def take(self, lines: list[tuple[int, str]]) -> None:
        """Put the letters of lines into their cells; the table is whole when each has one."""
        for start, text in lines:
            touched: dict[tuple[int, int], list[str]] = {}
            cell: tuple[int, int] | None = None
            for number, letter in enumerate(text):
                if not letter.isspace():
                    cell = cell_at(self.grid, *_middle(self._text_page, start + number))
                    if cell is None:
                        return
                if cell is not None:
                    touched.setdefault(cell, []).append(letter)
            for place, letters in touched.items():
                self._cells.setdefault(place, []).append("".join(letters))
        self.is_whole = len({row for row, _ in self._cells}) > 1

    def markdown(self) -> str:
        """The table, its first row as the titles."""
        width = max(Counter(row for row, _ in self._cells).values())
        lines = []
        for number, row in enumerate(self.grid.rows):
            cells = [escaped(" ".join(self._cells.get((number, place), ()))) for place in range(len(row))]
            if any(cells):
                lines.append(SEPARATOR.join(cells))
        lines.insert(1, SEPARATOR.join(["---"] * width))
        return "\n".join(lines)
