"""How does a table of values become text: a row is a line in which each value has its title."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .base import Unreadable, Writer

SEPARATOR = " | "
SAMPLE_ROWS = 40
MAX_PREAMBLE = 10
MAX_CELLS = 2_000_000
MAX_CHARS = 200_000_000


@dataclass(frozen=True, slots=True)
class Cell:
    """A value of a table.

    Attributes:
        text: as people read it.
        is_value: a number, a date or the like, which no column has for a title.
        span: columns that it covers.
    """

    text: str
    is_value: bool = False
    span: int = 1


Row = dict[int, Cell]


@dataclass(slots=True)
class Tables:
    """Writes tables, within limits.

    Raises:
        Unreadable: more cells or characters than a document may have.
    """

    writer: Writer
    num_cells: int = 0

    def add(self, rows: Iterable[Row]) -> None:
        """Append a table: what stands above its titles as it is, then a line for each row."""
        rows = iter(rows)
        sample = list(itertools.islice(rows, SAMPLE_ROWS))
        first, levels = _header(sample)
        titles = _titles(sample[first : first + levels])
        unused = dict(titles)
        for number, row in enumerate(itertools.chain(sample, rows)):
            if first <= number < first + levels:
                continue
            self._line(row, titles if number >= first else {})
            for column in row.keys() & unused.keys() if number >= first else ():
                del unused[column]
        # Titles of columns without a value are words of the document too.
        self._line({column: Cell(title) for column, title in unused.items()}, {})

    def _line(self, row: Row, titles: dict[int, str]) -> None:
        text = SEPARATOR.join(_titled(row, titles))
        self.num_cells += len(row)
        if self.num_cells > MAX_CELLS or self.writer.length + len(text) > MAX_CHARS:
            raise Unreadable(
                f"the table has more than {MAX_CELLS} cells or {MAX_CHARS // 1_000_000} million characters",
                help="split it, and add the parts that people ask about",
            )
        if text:
            self.writer.line(text)


def escaped(text: str) -> str:
    """A value on one line; a bar in it is marked, so that cells can be told apart again."""
    words = " ".join(text.split())
    return words.replace("|", "\\|") if "|" in words else words


def _titled(row: Row, titles: dict[int, str]) -> Iterator[str]:
    for column, cell in sorted(row.items()):
        if text := escaped(cell.text):
            title = titles.get(column, "")
            yield f"{escaped(title)}: {text}" if title else text


def _header(sample: Sequence[Row]) -> tuple[int, int]:
    """Which row the titles begin in, and over how many they go; (0, 0) when there are none."""
    for first, row in enumerate(sample[:MAX_PREAMBLE]):
        if not _is_header(row, sample[first + 1 :]):
            continue
        is_grouped = any(cell.span > 1 for cell in row.values())
        is_double = is_grouped and _are_words(sample[first + 1], sample[first + 2 :])
        return first, 2 if is_double else 1
    return 0, 0


def _is_header(row: Row, below: Sequence[Row]) -> bool:
    """Titles are words, and each is different."""
    words = [cell.text for cell in row.values()]
    return len(words) == len(set(words)) and _are_words(row, below)


def _are_words(row: Row, below: Sequence[Row]) -> bool:
    """Whether a row has only words, in two columns at least and in half of the columns in use."""
    if not below or len(row) < 2 or any(cell.is_value for cell in row.values()):
        return False
    return 2 * sum(cell.span for cell in row.values()) >= max(map(len, below))


def _titles(levels: Sequence[Row]) -> dict[int, str]:
    """The title of each column; where titles are grouped, the group's name comes first: ``2025 / Q1``."""
    names: dict[int, list[str]] = {}
    for level in levels:
        for column, cell in level.items():
            # A hostile span is as wide as a sheet may be; titles beyond the last level's own need no copy.
            for covered in range(column, column + (cell.span if len(levels) > 1 else 1)):
                held = names.setdefault(covered, [])
                if (text := " ".join(cell.text.split())) and text not in held:
                    held.append(text)
    return {column: " / ".join(held) for column, held in names.items()}
