"""Does the store hold each vector as it is on record, and does a search find it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clients.errors import RagqError

from .catalog import Catalog, Shelf
from .entries import Entry
from .stores.base import Near, VectorStore, unit_rows

DEPTH = 10
# A vector that was kept in float32 is itself with a cosine that differs from 1 by rounding only.
SAME = 0.999


@dataclass(frozen=True, slots=True)
class Probed:
    """Ids of entries that are amiss.

    Attributes:
        wrong: the store gives back another vector than the one on record, or none.
        lost: the store gives back the right one, and no search finds it.
    """

    wrong: list[str]
    lost: list[str]


class Prober:
    """Asks the store for vectors in both ways.

    What a search meets may be a copy or a graph in memory, which is made of what the store reads from its disk: the one
    may be right while the other is wrong, until a restart makes the copy anew.
    """

    def __init__(self, catalog: Catalog, store: VectorStore) -> None:
        self._catalog = catalog
        self._store = store

    def probe(self, shelf: Shelf, ids: Sequence[str]) -> Probed:
        """What is amiss among entries of a collection; what was deleted since they were listed is not."""
        now = self._catalog.shelf_of(shelf.id)
        if now is None:
            return Probed([], [])
        try:
            return self._probe(now, ids)
        except RagqError:
            later = self._catalog.shelf_of(shelf.id)
            if later is not None and later.generation == now.generation:
                raise
            return self.probe(shelf, ids)  # a re-index has just let its vectors take the place of these

    def wrong(self, shelf: Shelf, ids: Sequence[str]) -> list[str]:
        """Those of the entries that the store gives back wrong, of the generation that the shelf names."""
        return self._present(shelf, _wrong(self._read(shelf, ids), *self._store.read(shelf.store_key, ids)))

    def _probe(self, shelf: Shelf, ids: Sequence[str]) -> Probed:
        entries = self._read(shelf, ids)
        if not entries:
            return Probed([], [])
        wrong = set(_wrong(entries, *self._store.read(shelf.store_key, ids)))
        found = self._store.query(shelf.store_key, np.stack([entry.vector for entry in entries]), DEPTH)
        lost = [entry.id for entry, near in zip(entries, found, strict=True) if not _finds(entry, near)]
        return Probed(
            self._present(shelf, sorted(wrong)), self._present(shelf, [id_ for id_ in lost if id_ not in wrong])
        )

    def _read(self, shelf: Shelf, ids: Sequence[str]) -> list[Entry]:
        return list(self._catalog.documents.entries.by_id(shelf.id, ids, shelf.generation))

    def _present(self, shelf: Shelf, ids: Sequence[str]) -> list[str]:
        return [entry.id for entry in self._read(shelf, ids)] if ids else []


def _wrong(entries: Sequence[Entry], held: Sequence[str], rows: np.ndarray) -> list[str]:
    """Entries whose vector is not among those held, float32 [n, dim] in the order of ``held``, or is another one."""
    places = {id_: place for place, id_ in enumerate(held)}
    units = unit_rows(rows) if len(held) else rows
    return [entry.id for entry in entries if entry.id not in places or not _is_same(entry, units[places[entry.id]])]


def _is_same(entry: Entry, unit: np.ndarray) -> bool:
    (own,) = unit_rows(entry.vector[np.newaxis])
    return own.shape == unit.shape and float(own @ unit) >= SAME


def _finds(entry: Entry, near: Sequence[Near]) -> bool:
    """Whether a vector found itself; one that many contents share may find the others instead."""
    own = next((hit.score for hit in near if hit.id == entry.id), None)
    if own is not None:
        return own >= SAME
    return bool(near) and near[-1].score >= SAME
