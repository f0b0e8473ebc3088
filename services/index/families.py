"""What is given for a chunk that was found as a part of a section: all of the section, once."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from clients.index import Hit

from .entries import Found
from .schema import Database

# The end of a paragraph leaves so much white space between two chunks.
PARAGRAPH_GAP = 2


class Families:
    """Sections on record: the chunks of a document with the same parent.

    A section's text is put together from its chunks when it is found, so that one that was edited, merged, split or
    switched off is in the next answer as it is then.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def widened(self, hits: Iterable[tuple[Hit, Found]]) -> list[Hit]:
        """Hits with the text of the section around them; each section once, for its best chunk."""
        best: dict[tuple[str, int, str], tuple[Hit, Found]] = {}
        for hit, found in hits:
            best.setdefault(found.family, (hit, found))
        return [self._widened(hit, found.parent) if found.parent >= 0 else hit for hit, found in best.values()]

    def _widened(self, hit: Hit, parent: int) -> Hit:
        rows = (
            self._database.read()
            .execute(
                "SELECT * FROM chunks WHERE document_id = ? AND parent = ? AND is_enabled ORDER BY position",
                (hit.document_id, parent),
            )
            .fetchall()
        )
        if not rows:
            return hit  # the document was cut anew since it was found
        start, end = min(row["start"] for row in rows), max(row["end"] for row in rows)
        return replace(hit, text=_joined(rows), start=start, end=end, page=rows[0]["page"], found=hit.text)


def one_of_each(order: Mapping[str, float], known: Mapping[str, Found]) -> dict[str, float]:
    """The candidates without those for which a better one gives the same section."""
    best = {known[id_].family: id_ for id_ in reversed(list(order))}
    return {id_: score for id_, score in order.items() if best[known[id_].family] == id_}


def _joined(rows: Sequence[sqlite3.Row]) -> str:
    parts = [rows[0]["text"]]
    for before, after in itertools.pairwise(rows):
        parts += [_between(before, after), after["text"]]
    return "".join(parts)


def _between(before: sqlite3.Row, after: sqlite3.Row) -> str:
    """The white space that was cut away between two chunks, as far as their places tell it."""
    gap = after["start"] - before["end"]
    if gap == 0:
        return ""
    if gap >= PARAGRAPH_GAP:
        return "\n\n"
    return "\n" if "\n" in before["text"] + after["text"] else " "
