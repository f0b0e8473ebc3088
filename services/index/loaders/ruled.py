"""Which tables does a page have, told by the lines that are drawn around their cells."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

Box = tuple[float, float, float, float]
THIN = 3.0
TOUCH = 3.0
MIN_LINE = 8.0
MAX_LINES = 800
MAX_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Grid:
    """A ruled table in points of the page, whose origin is at the bottom left.

    Attributes:
        box: left, bottom, right, top.
        rows: the cells of each row from the top, from left to right; one that covers columns is one.
    """

    box: Box
    rows: list[list[Box]]

    def holds(self, x: float, y: float) -> bool:
        """Whether a point lies inside."""
        left, bottom, right, top = self.box
        return left - TOUCH <= x <= right + TOUCH and bottom - TOUCH <= y <= top + TOUCH


def grids(drawn: Sequence[Box], page_area: float) -> list[Grid]:
    """The tables among what is drawn on a page: at least two rows and two columns between lines that touch.

    Args:
        drawn: left, bottom, right, top of each path, in points.
        page_area: square points; what covers most of the page is its ground.
    """
    across, down = _lines(drawn, page_area)
    if len(across) + len(down) > MAX_LINES:
        return []
    found = [_grid(group) for group in _groups(across + down)]
    return [grid for grid in found if grid is not None]


def _lines(drawn: Sequence[Box], page_area: float) -> tuple[list[Box], list[Box]]:
    """Lines across and lines down; a box that is drawn as one path counts as its four sides."""
    across, down = [], []
    for left, bottom, right, top in drawn:
        width, height = right - left, top - bottom
        if width <= THIN and height >= MIN_LINE:
            down.append((left, bottom, right, top))
        elif height <= THIN and width >= MIN_LINE:
            across.append((left, bottom, right, top))
        elif width >= MIN_LINE and height >= MIN_LINE and width * height < MAX_SHARE * page_area:
            across += [(left, bottom, right, bottom), (left, top, right, top)]
            down += [(left, bottom, left, top), (right, bottom, right, top)]
    return across, down


def _groups(lines: list[Box]) -> Iterator[list[Box]]:
    """Lines that touch each other, over others too."""
    waiting = list(lines)
    while waiting:
        group, open_ = [], [waiting.pop()]
        while open_:
            line = open_.pop()
            group.append(line)
            near = [other for other in waiting if _touch(line, other)]
            waiting = [other for other in waiting if not _touch(line, other)]
            open_ += near
        yield group


def _touch(one: Box, other: Box) -> bool:
    return (
        one[0] <= other[2] + TOUCH
        and other[0] <= one[2] + TOUCH
        and one[1] <= other[3] + TOUCH
        and other[1] <= one[3] + TOUCH
    )


def _grid(group: list[Box]) -> Grid | None:
    down = [line for line in group if line[2] - line[0] <= THIN]
    ys = _merged([(line[1] + line[3]) / 2 for line in group if line[3] - line[1] <= THIN])
    xs = _merged([(line[0] + line[2]) / 2 for line in down])
    if len(ys) < 3 or len(xs) < 3:
        return None
    rows = []
    for top, bottom in pairwise(reversed(ys)):
        middle = (top + bottom) / 2
        edges = [x for x in xs if any(_crosses(line, x, middle) for line in down)]
        rows.append([(left, bottom, right, top) for left, right in pairwise(edges)])
    return Grid((xs[0], ys[0], xs[-1], ys[-1]), rows)


def _crosses(line: Box, x: float, y: float) -> bool:
    return line[0] - TOUCH <= x <= line[2] + TOUCH and line[1] - TOUCH <= y <= line[3] + TOUCH


def _merged(places: list[float]) -> list[float]:
    """Places in rising order, those that are closer than lines are thick as one."""
    kept: list[float] = []
    for place in sorted(places):
        if not kept or place - kept[-1] > TOUCH:
            kept.append(place)
    return kept


def cell_at(grid: Grid, x: float, y: float) -> tuple[int, int] | None:
    """Row and place in the row of the cell with a point; None beside the cells."""
    for number, row in enumerate(grid.rows):
        if row and row[0][1] <= y < row[0][3]:
            at = bisect_right([cell[0] for cell in row], x) - 1
            return (number, at) if at >= 0 and x <= row[at][2] + TOUCH else None
    return None
