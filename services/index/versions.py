"""Which documents hold which version of which web page, and which of them are out of date."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from .documents import Documents, Incoming
from .schema import Database

REPLACED = "a newer version of the page took its place"


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server called a version of a page; empty where it did not."""

    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """The newest version of a page that is here, ready or on its way."""

    validators: Validators
    document: Incoming


class Versions:
    """Versions of pages on record.

    A page that changed becomes a document of its own; the one before it stays, and is found, until the new one is
    ready, and goes in the same transaction. A document that another page or a person gave too stays.
    """

    def __init__(self, database: Database, documents: Documents) -> None:
        self._database = database
        self._documents = documents

    def held(self, collection_id: int, url: str) -> Held | None:
        """The newest version of a page, or None."""
        row = (
            self._database.read()
            .execute(
                """SELECT p.etag, p.last_modified, d.* FROM pages p JOIN documents d ON d.id = p.document_id
                WHERE p.collection_id = ? AND p.url = ? ORDER BY p.fetched_at DESC LIMIT 1""",
                (collection_id, url),
            )
            .fetchone()
        )
        if row is None:
            return None
        document = Incoming(row["name"], row["media_type"], row["sha256"], row["size_bytes"], url)
        return Held(Validators(row["etag"], row["last_modified"]), document)

    def record(
        self, tx: sqlite3.Connection, collection_id: int, document_id: str, new: Incoming, version: Validators
    ) -> list[str]:
        """A page was fetched just now, and is this document.

        Returns:
            Digests of contents that are out of date and gone: none while the document is not ready.
        """
        tx.execute(
            """INSERT INTO pages VALUES (:shelf, :url, :document, :etag, :modified, :now)
            ON CONFLICT DO UPDATE SET etag = :etag, last_modified = :modified, fetched_at = :now""",
            {
                "shelf": collection_id, "url": new.source, "document": document_id, "now": new.fetched_at,
                "etag": version.etag, "modified": version.last_modified,
            },
        )  # fmt: skip
        tx.execute(
            "UPDATE documents SET fetched_at = ? WHERE id = ? AND source = ?", (new.fetched_at, document_id, new.source)
        )
        row = tx.execute("SELECT status FROM documents WHERE id = ?", (document_id,)).fetchone()
        return self.supersede(tx, [document_id]) if row["status"] == "ready" else []

    def supersede(self, tx: sqlite3.Connection, ready: Iterable[str]) -> list[str]:
        """Delete what documents that are ready take the place of; digests of the contents that are gone."""
        gone: list[str] = []
        for id_ in ready:
            for page in tx.execute("SELECT * FROM pages WHERE document_id = ?", (id_,)).fetchall():
                older = tx.execute(
                    """DELETE FROM pages WHERE collection_id = ? AND url = ? AND document_id != ? AND fetched_at < ?
                    RETURNING document_id""",
                    (page["collection_id"], page["url"], id_, page["fetched_at"]),
                ).fetchall()
                for (old,) in older:
                    gone += self._delete_unless_wanted(tx, old)
        return gone

    def _delete_unless_wanted(self, tx: sqlite3.Connection, id_: str) -> list[str]:
        row = tx.execute(
            """SELECT 1 FROM documents d WHERE d.id = ? AND d.source != ''
            AND NOT EXISTS (SELECT 1 FROM pages p WHERE p.document_id = d.id)""",
            (id_,),
        ).fetchone()
        return [self._documents.remove(tx, id_, REPLACED)] if row else []
