"""Which vectors of a collection are searched, and which are to be forgotten?

The vectors of a collection that one model made together are a generation. One is present, another may be in the making
(see `services.index.shadows`), and what was given up or replaced is on record as stale until nobody holds it any more.
"""

from __future__ import annotations

import sqlite3

from .schema import Database

MAX_SWEPT = 200


class Generations:
    """Generations that are stale."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def stale(self) -> list[tuple[int, int]]:
        """Collections and generations that the vector store is to forget."""
        rows = self._database.read().execute(
            "SELECT collection_id, generation FROM stale_generations WHERE is_in_store"
        )
        return [(row[0], row[1]) for row in rows]

    def forgotten(self, collection_id: int, generation: int) -> None:
        """The store let go of a generation; of a collection that is gone there is nothing else left."""
        with self._database.write() as tx:
            tx.execute(
                "UPDATE stale_generations SET is_in_store = 0 WHERE collection_id = ? AND generation = ?",
                (collection_id, generation),
            )
            tx.execute(
                """DELETE FROM stale_generations WHERE NOT is_in_store
                AND collection_id NOT IN (SELECT id FROM collections)"""
            )

    def clean(self) -> bool:
        """Delete the vectors on record of a generation that the store let go of; False when there is none."""
        row = self._database.read().execute("SELECT * FROM stale_generations WHERE NOT is_in_store").fetchone()
        if row is None:
            return False
        last = ""
        while documents := self._documents(row["collection_id"], last):
            last = documents[-1]
            with self._database.write() as tx:
                tx.executemany(
                    """DELETE FROM vectors WHERE generation = ?
                    AND chunk_key IN (SELECT key FROM chunks WHERE document_id = ?)""",
                    [(row["generation"], id_) for id_ in documents],
                )
        with self._database.write() as tx:
            tx.execute("DELETE FROM stale_generations WHERE collection_id = ? AND generation = ?", tuple(row)[:2])
        return True

    def _documents(self, collection_id: int, after: str) -> list[str]:
        rows = self._database.read().execute(
            "SELECT id FROM documents WHERE collection_id = ? AND id > ? ORDER BY id LIMIT ?",
            (collection_id, after, MAX_SWEPT),
        )
        return [row[0] for row in rows]


def next_generation(read: sqlite3.Connection, collection_id: int) -> int:
    """A number that no vectors of a collection have."""
    row = read.execute(
        """SELECT 1 + max(generation) FROM (SELECT generation FROM collections WHERE id = :id
        UNION ALL SELECT generation FROM shadows WHERE collection_id = :id
        UNION ALL SELECT generation FROM stale_generations WHERE collection_id = :id)""",
        {"id": collection_id},
    ).fetchone()
    return int(row[0])


def retire(tx: sqlite3.Connection, collection_id: int) -> None:
    """The present generation of a collection is stale from now on."""
    tx.execute(
        "INSERT OR IGNORE INTO stale_generations SELECT id, generation, 1 FROM collections WHERE id = ?",
        (collection_id,),
    )


def give_up(tx: sqlite3.Connection, *, job_id: str = "", collection_id: int = 0) -> None:
    """The generation that a job makes, or that is made of a collection, is stale from now on; there need be none."""
    given = (job_id, collection_id)
    tx.execute(
        """INSERT OR IGNORE INTO stale_generations SELECT collection_id, generation, 1 FROM shadows
        WHERE job_id = ? OR collection_id = ?""",
        given,
    )
    tx.execute("DELETE FROM shadows WHERE job_id = ? OR collection_id = ?", given)
