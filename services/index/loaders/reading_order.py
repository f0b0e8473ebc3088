"""In which order are the words of a picture read: lines from the top, and columns one after the other."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .seen import SeenLine

# Two pieces stand on one line when their heights overlap by so much of the lower one's.
SAME_LINE = 0.5
# A paragraph ends where the gap to the next line is larger than this part of a line's height.
PARAGRAPH_GAP = 0.9
# A column has this many lines at least, and its lines fill so much of its width; a table's do not.
MIN_COLUMN_LINES = 4
COLUMN_FILL = 0.6
# pdfium's mark of a word that is hyphenated at a line end; the loader joins both halves.
HYPHEN = "\x02"


@dataclass(frozen=True, slots=True)
class Piece:
    """Words in a box, in pixels from the upper left corner."""

    text: str
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        """Of the box."""
        return self.bottom - self.top


def in_reading_order(pieces: Sequence[Piece]) -> list[SeenLine]:
    """The lines of a page; an empty one stands between paragraphs."""
    if not pieces:
        return []
    usual = statistics.median(piece.height for piece in pieces)
    lines: list[SeenLine] = []
    for zone in _zones(sorted(pieces, key=lambda piece: piece.top)):
        if lines:
            lines.append(SeenLine(""))
        lines += _paragraphs(_rows(zone), usual)
    return _unhyphenated(lines)


def _zones(pieces: list[Piece]) -> Iterator[list[Piece]]:
    """Parts of a page that are read one after the other: what goes over both columns parts them."""
    middle = _gutter(pieces)
    if middle is None:
        yield pieces
        return
    left: list[Piece] = []
    right: list[Piece] = []
    for piece in pieces:
        if piece.left < middle < piece.right:
            yield from filter(None, (left, right, [piece]))
            left, right = [], []
        else:
            (left if piece.right <= middle else right).append(piece)
    yield from filter(None, (left, right))


def _gutter(pieces: Sequence[Piece]) -> float | None:
    """Where a page of two columns is empty from top to bottom, but for a few lines that go over both."""
    first, last = min(p.left for p in pieces), max(p.right for p in pieces)
    found: tuple[int, float] | None = None
    for percent in range(35, 66, 2):
        middle = first + (last - first) * percent / 100
        left = [p for p in pieces if p.right <= middle]
        right = [p for p in pieces if p.left >= middle]
        crossing = len(pieces) - len(left) - len(right)
        if _is_column(left, middle - first) and _is_column(right, last - middle) and crossing * 4 <= len(pieces):
            found = min(found or (crossing, middle), (crossing, middle))
    return found[1] if found else None


def _is_column(pieces: Sequence[Piece], width: float) -> bool:
    if len(pieces) < MIN_COLUMN_LINES:
        return False
    return statistics.median(p.right - p.left for p in pieces) >= COLUMN_FILL * width


def _rows(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Pieces that stand on one line, from left to right."""
    rows: list[list[Piece]] = []
    for piece in pieces:
        if rows and _is_beside(rows[-1][0], piece):
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return [sorted(row, key=lambda piece: piece.left) for row in rows]


def _is_beside(first: Piece, piece: Piece) -> bool:
    shared = min(first.bottom, piece.bottom) - max(first.top, piece.top)
    return shared > SAME_LINE * min(first.height, piece.height)


def _paragraphs(rows: Sequence[Sequence[Piece]], usual: float) -> Iterator[SeenLine]:
    end = 0.0
    for number, row in enumerate(rows):
        top = min(piece.top for piece in row)
        if number and top - end > PARAGRAPH_GAP * usual:
            yield SeenLine("")
        end = max(piece.bottom for piece in row)
        height = statistics.median(piece.height for piece in row) / usual
        yield SeenLine(" ".join(piece.text for piece in row), round(height, 2))


def _unhyphenated(lines: list[SeenLine]) -> list[SeenLine]:
    made = []
    for number, line in enumerate(lines):
        after = lines[number + 1].text if number + 1 < len(lines) else ""
        is_broken = line.text[-2:-1].isalpha() and line.text.endswith("-") and after[:1].islower()
        made.append(SeenLine(line.text[:-1] + HYPHEN, line.height) if is_broken else line)
    return made
