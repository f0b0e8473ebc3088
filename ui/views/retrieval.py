"""What the page of retrieval tests shows of a way to search, of a hit, and of the decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from clients.answers import Route
from clients.index import Hit, Hits
from clients.ways import Way
from ui import units
from ui.labels import Labels
from ui.prose import shortened
from ui.told import told
from ui.trials import Judged

from . import hits as words_of
from .decision import decided
from .passage import Target, of_hit, place

MAX_CHARS, MAX_NARROW_CHARS = 400, 160
Color = Literal["green", "orange", "red"]
_COLORS: dict[Route, Color] = {"answer": "green", "fallback": "orange", "absent": "red"}


@dataclass(frozen=True, slots=True)
class Row:
    """A hit in a column."""

    rank: int
    document: str
    place: str
    text: str
    why: str
    facts: str
    target: Target


@dataclass(frozen=True, slots=True)
class Column:
    """What one way found.

    Attributes:
        cost: how many hits, and how long it took.
        stages: each stage with its time.
    """

    cost: str
    stages: str
    notes: list[str]
    rows: list[Row]


def name_of(way: Way, labels: Labels) -> str:
    """A way to search in words."""
    return labels.word("retrieval.way", str(way))


def column(found: Hits, labels: Labels, *, is_narrow: bool = False) -> Column:
    """The column of what one way found; a narrow one stands beside others."""
    cost = labels("retrieval.cost", count=len(found.hits), took=units.took(sum(found.timings.values())))
    most = MAX_NARROW_CHARS if is_narrow else MAX_CHARS
    rows = [_row(rank, hit, most, labels) for rank, hit in enumerate(found.hits, 1)]
    return Column(cost, words_of.stages(found.timings, labels), [told(note, labels) for note in found.notes], rows)


def _row(rank: int, hit: Hit, max_chars: int, labels: Labels) -> Row:
    facts = [*words_of.signals(hit, labels), words_of.copies(hit, labels)]
    return Row(
        rank, hit.document, place(hit.page, hit.heading, labels), shortened(hit.text, max_chars),
        words_of.explained(hit, labels), " · ".join(filter(None, facts)), of_hit(hit),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """What ``ask`` would do with a question."""

    color: Color
    route: str
    why: str
    stages: str
    notes: list[str]


def verdict(judged: Judged, labels: Labels) -> Verdict:
    """The decision in words."""
    decision = judged.look.decision
    notes: Sequence[str] = [*judged.notes, *judged.look.hits.notes]
    return Verdict(
        _COLORS[decision.route], labels(f"retrieval.route.{decision.route}"), decided(decision, labels),
        words_of.stages(judged.timings, labels), [told(note, labels) for note in dict.fromkeys(notes)],
    )  # fmt: skip
