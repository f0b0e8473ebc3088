"""Which collections are being embedded anew, by which model, and what is still lacking?

A re-index makes the next generation of a collection's vectors beside the present one, as its shadow. When that lacks
nothing, one transaction lets it take the present one's place.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .catalog import Shelf
from .chunks import Stored, stored
from .generations import next_generation, retire
from .schema import Database

UNFINISHED = "SELECT s.*, c.name, c.generation AS present FROM shadows s JOIN collections c ON c.id = s.collection_id"
# Chunks that were embedded, and not for the shadow.
# CROSS JOIN keeps the order of the tables: chunks are read by their numbers, and no more of them than needed.
LACKING = """FROM chunks c CROSS JOIN documents d ON d.id = c.document_id
WHERE d.collection_id = :shelf AND c.key > :after AND (d.status = 'ready' OR c.position < d.num_embedded)
AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.chunk_key = c.key AND v.generation = :generation)"""


@dataclass(frozen=True, slots=True)
class Shadow:
    """A re-index that is not finished.

    Attributes:
        shelf: the collection as it will be.
        present: the generation that is searched until then.
    """

    shelf: Shelf
    job_id: str
    present: int


class Shadows:
    """Shadows on record; what is written about one that was given up meanwhile is left out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, collection_id: int) -> Shadow | None:
        """The shadow of a collection."""
        row = self._database.read().execute(f"{UNFINISHED} WHERE s.collection_id = ?", (collection_id,)).fetchone()
        return _shadow(row) if row else None

    def of_job(self, job_id: str) -> Shadow | None:
        """The shadow that a job makes; None when it was given up."""
        row = self._database.read().execute(f"{UNFINISHED} WHERE s.job_id = ?", (job_id,)).fetchone()
        return _shadow(row) if row else None

    def begin(self, tx: sqlite3.Connection, shelf: Shelf, model: str, dimension: int, job_id: str) -> None:
        """Put a shadow on record; a collection has one at a time."""
        generation = next_generation(tx, shelf.id)
        tx.execute("INSERT INTO shadows VALUES (?, ?, ?, ?, ?)", (shelf.id, generation, model, dimension, job_id))

    def next_to_embed(self, shadow: Shadow, after: int, limit: int) -> list[Stored]:
        """Embedded chunks with numbers above ``after`` that the shadow lacks, in the order of their numbers."""
        rows = self._database.read().execute(
            f"SELECT c.* {LACKING} ORDER BY c.key LIMIT :limit", {**_given(shadow, after), "limit": limit}
        )
        return [stored(row) for row in rows]

    def put(self, shadow: Shadow, chunks: Sequence[Stored], vectors: np.ndarray) -> None:
        """Keep the vectors of contents, for every chunk of the collection that has one of them.

        Args:
            shadow: whose vectors they are.
            chunks: one of each content.
            vectors: float32 [n, dim], a row for each.
        """
        rows = np.ascontiguousarray(vectors, np.float32)
        new = shadow.shelf
        made = [(new.generation, row.tobytes(), chunk.entry, new.id) for chunk, row in zip(chunks, rows, strict=True)]
        with self._database.write() as tx:
            if not _is_wanted(tx, shadow):
                return
            written = tx.executemany(
                """INSERT OR IGNORE INTO vectors (chunk_key, generation, vector) SELECT c.key, ?, ? FROM chunks c
                JOIN documents d ON d.id = c.document_id WHERE c.entry = ? AND d.collection_id = ?""",
                made,
            )
            tx.execute(
                "UPDATE jobs SET num_embedded = num_embedded + ? WHERE id = ?", (written.rowcount, shadow.job_id)
            )

    def swap(self, tx: sqlite3.Connection, shadow: Shadow) -> bool:
        """Let a shadow take its place, unless it was given up, or a chunk came or changed that it lacks."""
        if not _is_wanted(tx, shadow) or tx.execute(f"SELECT 1 {LACKING} LIMIT 1", _given(shadow, -1)).fetchone():
            return False
        new = shadow.shelf
        retire(tx, new.id)
        tx.execute(
            "UPDATE collections SET model = ?, dimension = ?, generation = ? WHERE id = ?",
            (new.model, new.dimension, new.generation, new.id),
        )
        tx.execute("DELETE FROM shadows WHERE collection_id = ?", (new.id,))
        return True

    def is_wanted(self, shadow: Shadow) -> bool:
        """Whether it was not given up, and has not taken its place."""
        return _is_wanted(self._database.read(), shadow)


def _is_wanted(connection: sqlite3.Connection, shadow: Shadow) -> bool:
    """It is on record still, and so is the generation beside which it is made."""
    found = connection.execute(
        """SELECT 1 FROM shadows s JOIN collections c ON c.id = s.collection_id
        WHERE s.job_id = ? AND s.generation = ? AND c.generation = ?""",
        (shadow.job_id, shadow.shelf.generation, shadow.present),
    )
    return found.fetchone() is not None


def _given(shadow: Shadow, after: int) -> dict[str, int]:
    new = shadow.shelf
    return {"shelf": new.id, "generation": new.generation, "after": after}


def _shadow(row: sqlite3.Row) -> Shadow:
    shelf = Shelf(row["collection_id"], row["name"], row["model"], row["dimension"], row["generation"])
    return Shadow(shelf, row["job_id"], row["present"])
