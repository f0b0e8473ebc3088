"""What the items of a job wait for: a file or a page to be taken in, or a document to be ready."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from .schema import Database

# A page counts as so much until it is here, so that a job of many is not "all done" after its first.
ASSUMED_PAGE_BYTES = 64 << 10
WAITING = "SELECT * FROM job_items WHERE job_id = ? AND outcome = '' AND document_id = ''"
FILES, PAGES = f"{WAITING} AND url = '' ORDER BY key LIMIT 1", f"{WAITING} AND url > '' ORDER BY key LIMIT 1"


@dataclass(frozen=True, slots=True)
class Source:
    """A file on the service's disk, or a web page, that waits to be taken in."""

    key: int
    path: str
    name: str
    url: str = ""


class Items:
    """Items that are no documents yet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_file(self, tx: sqlite3.Connection, job_id: str, path: str, name: str, size_bytes: int) -> None:
        """Add a file that is to be taken in when its turn comes."""
        tx.execute(
            "INSERT INTO job_items (job_id, path, name, size_bytes) VALUES (?, ?, ?, ?)",
            (job_id, path, name, size_bytes),
        )

    def add_page(self, tx: sqlite3.Connection, job_id: str, url: str) -> None:
        """Add a web page that is to be fetched when its turn comes."""
        tx.execute(
            "INSERT INTO job_items (job_id, url, name, size_bytes) VALUES (?, ?, ?, ?)",
            (job_id, url, url, ASSUMED_PAGE_BYTES),
        )

    def next_file(self, job_id: str) -> Source | None:
        """The next file of a job to take in."""
        return self._next(FILES, job_id)

    def next_page(self, job_id: str) -> Source | None:
        """The next web page of a job to fetch."""
        return self._next(PAGES, job_id)

    def _next(self, query: str, job_id: str) -> Source | None:
        row = self._database.read().execute(query, (job_id,)).fetchone()
        return Source(row["key"], row["path"], row["name"], row["url"]) if row else None

    def is_wanted(self, tx: sqlite3.Connection, key: int) -> bool:
        """Whether an item still waits; not when its job was cancelled meanwhile."""
        return tx.execute("SELECT 1 FROM job_items WHERE key = ? AND outcome = ''", (key,)).fetchone() is not None

    def refuse(self, tx: sqlite3.Connection, job_id: str, name: str, size_bytes: int, reason: str, fix: str) -> None:
        """Add a file that cannot be taken in, with the reason."""
        tx.execute(
            """INSERT INTO job_items (job_id, name, size_bytes, outcome, reason, fix)
            VALUES (?, ?, ?, 'failed', ?, ?)""",
            (job_id, name, size_bytes, reason, fix),
        )

    def fail(self, key: int, reason: str, fix: str) -> None:
        """A file or page could not be taken in."""
        with self._database.write() as tx:
            tx.execute(
                "UPDATE job_items SET outcome = 'failed', reason = ?, fix = ? WHERE key = ? AND outcome = ''",
                (reason, fix, key),
            )


def close_items(tx: sqlite3.Connection, document_id: str, outcome: str, reason: str, fix: str) -> None:
    """Tell every job that waits for a document how it ended."""
    tx.execute(
        """UPDATE job_items SET outcome = ?, reason = ?, fix = ?,
        num_chunks = coalesce((SELECT num_chunks FROM documents WHERE id = document_id), 0)
        WHERE document_id = ? AND outcome = ''""",
        (outcome, reason, fix, document_id),
    )
