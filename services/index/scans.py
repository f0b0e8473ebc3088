"""What stands on pages that are pictures: kept by the content they are of, so that no page is read twice."""

from __future__ import annotations

import json
import sqlite3

from .loaders import SeenLine
from .schema import Database


class Scans:
    """Recognised pages on record; a document that is cut anew, or taken up after a kill, reads them from here."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, sha256: str) -> dict[int, list[SeenLine]]:
        """The pages of a content that were read so far, by their number; the first is 1."""
        rows = self._database.read().execute("SELECT page, lines FROM scans WHERE sha256 = ?", (sha256,))
        return {row["page"]: [SeenLine(text, height) for text, height in json.loads(row["lines"])] for row in rows}

    def keep(self, sha256: str, page: int, lines: list[SeenLine]) -> None:
        """Keep a page that was read."""
        text = json.dumps([[line.text, line.height] for line in lines], ensure_ascii=False)
        with self._database.write() as tx:
            tx.execute("INSERT OR REPLACE INTO scans VALUES (?, ?, ?)", (sha256, page, text))


def forget_scans(tx: sqlite3.Connection, sha256: str) -> None:
    """Let go of the pages of a content that no document has any more."""
    tx.execute("DELETE FROM scans WHERE sha256 = ?", (sha256,))
