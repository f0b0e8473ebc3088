"""Which documents a collection has, and where each of them stands."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from clients.errors import NotFound
from clients.index import Chunking, Document, Status
from clients.wire import Clock

from .chunking import of_record, values_of
from .chunks import Chunks, Piece
from .entries import Entries
from .items import close_items
from .schema import Database

Ended = Literal["failed", "cancelled"]
SETTLED = ("ready", "failed", "cancelled")
SELECT = "SELECT d.*, c.name AS collection FROM documents d JOIN collections c ON c.id = d.collection_id"


class Gone(Exception):
    """A document was deleted or cancelled while it was worked on."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A document on its way in.

    Attributes:
        media_type: set when the content is known to be that; empty lets the content be looked at.
        sha256: of its bytes, hexadecimal.
        source: URL of the web page that it is.
        fetched_at: when that was, seconds since 1970.
    """

    name: str
    media_type: str
    sha256: str
    size_bytes: int
    source: str = ""
    fetched_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Work:
    """A document that is to be ingested, with what that takes."""

    id: str
    collection_id: int
    name: str
    media_type: str
    sha256: str
    size_bytes: int
    status: Status
    num_chunks: int
    num_embedded: int
    chunking: Chunking


def document_id(collection: str, sha256: str) -> str:
    """The id of a content in a collection, 32 hexadecimal digits: the same content twice is one document."""
    return hashlib.sha256(f"{collection}\0{sha256}".encode()).hexdigest()[:32]


class Documents:
    """Documents on record."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.chunks = Chunks(database)
        self.entries = Entries(database)

    def take(
        self, tx: sqlite3.Connection, collection_id: int, collection: str, new: Incoming, chunking: Chunking
    ) -> tuple[str, bool]:
        """Put a document on record as queued.

        Returns:
            Its id, and whether there is work to do: not when it is ready with the same chunking.
        """
        id_ = document_id(collection, new.sha256)
        row = tx.execute("SELECT * FROM documents WHERE id = ?", (id_,)).fetchone()
        if row is None:
            self._insert(tx, id_, collection_id, new, chunking)
            return id_, True
        if not new.source:
            # What a person gave is theirs: it does not go when a page of the same content changes.
            tx.execute("UPDATE documents SET source = '', fetched_at = 0 WHERE id = ?", (id_,))
        if of_record(row) == chunking and row["status"] not in ("failed", "cancelled"):
            return id_, row["status"] != "ready"
        self.requeue(tx, id_)
        tx.execute(
            "UPDATE documents SET size = ?, overlap = ?, by_line = ?, strategy = ? WHERE id = ?",
            (*values_of(chunking), id_),
        )
        return id_, True

    def _insert(self, tx: sqlite3.Connection, id_: str, collection_id: int, new: Incoming, chunking: Chunking) -> None:
        now = self._clock()
        tx.execute(
            """INSERT INTO documents (id, collection_id, name, media_type, sha256, size_bytes, status, size, overlap,
            by_line, strategy, created_at, updated_at, source, fetched_at)
            VALUES (?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                id_, collection_id, new.name, new.media_type, new.sha256, new.size_bytes,
                *values_of(chunking), now, now, new.source, new.fetched_at,
            ),
        )  # fmt: skip

    def adopt(
        self,
        tx: sqlite3.Connection,
        collection_id: int,
        collection: str,
        new: Incoming,
        language: str,
        chunking: Chunking,
    ) -> str:
        """Put a document on record whose chunks are known already; its id."""
        id_ = document_id(collection, new.sha256)
        self._insert(tx, id_, collection_id, new, chunking)
        tx.execute("UPDATE documents SET language = ?, status = 'embedding' WHERE id = ?", (language, id_))
        return id_

    def requeue(self, tx: sqlite3.Connection, id_: str) -> None:
        """Start a document over: its old chunks become stale."""
        self.chunks.drop(tx, id_)
        tx.execute(
            """UPDATE documents SET status = 'queued', reason = '', fix = '', num_chunks = 0, num_embedded = 0,
            updated_at = ? WHERE id = ?""",
            (self._clock(), id_),
        )

    def get(self, id_: str) -> Document:
        """One document; NotFound."""
        row = self._database.read().execute(f"{SELECT} WHERE d.id = ?", (id_,)).fetchone()
        if row is None:
            raise NotFound(f"there is no document '{id_}'", help="ragq documents --collection NAME lists them")
        return document_of(row)

    def work(self, id_: str) -> Work | None:
        """What it takes to ingest a document; None when it is gone or settled."""
        row = self._database.read().execute("SELECT * FROM documents WHERE id = ?", (id_,)).fetchone()
        return work_of(row) if row and row["status"] not in SETTLED else None

    def move(self, ids: list[str], status: Status) -> None:
        """Say where unsettled documents stand now."""
        with self._database.write() as tx:
            tx.executemany(
                """UPDATE documents SET status = ?, updated_at = ?
                WHERE id = ? AND status NOT IN ('ready', 'failed', 'cancelled')""",
                [(status, self._clock(), id_) for id_ in ids],
            )

    def begin(self, tx: sqlite3.Connection, id_: str) -> None:
        """Start to write a document's chunks; Gone when nobody wants it any more."""
        self._expect(tx, id_)
        self.chunks.drop(tx, id_)
        tx.execute(
            "UPDATE documents SET status = 'chunking', num_chunks = 0, num_embedded = 0, updated_at = ? WHERE id = ?",
            (self._clock(), id_),
        )

    def append(self, tx: sqlite3.Connection, id_: str, first: int, pieces: Sequence[Piece]) -> None:
        """Write the next chunks of a document; Gone when nobody wants it any more."""
        self._expect(tx, id_)
        self.chunks.append(tx, id_, first, pieces)

    def chunked(self, tx: sqlite3.Connection, id_: str, num_chunks: int, media_type: str, language: str) -> None:
        """A document's chunks are written: it can be embedded. Gone when nobody wants it any more."""
        self._expect(tx, id_)
        tx.execute(
            """UPDATE documents SET status = 'embedding', num_chunks = ?, num_embedded = 0,
            media_type = ?, language = ?, updated_at = ? WHERE id = ?""",
            (num_chunks, media_type, language, self._clock(), id_),
        )

    def _expect(self, tx: sqlite3.Connection, id_: str) -> None:
        row = tx.execute("SELECT status FROM documents WHERE id = ?", (id_,)).fetchone()
        if row is None or row["status"] in SETTLED:
            raise Gone(id_)

    def ready(self, tx: sqlite3.Connection, id_: str) -> bool:
        """The stores hold all of a document; False when it was started over, deleted or cancelled meanwhile."""
        changed = tx.execute(
            """UPDATE documents SET status = 'ready', reason = '', fix = '', updated_at = ?
            WHERE id = ? AND status = 'embedding' AND num_chunks > 0 AND num_embedded = num_chunks""",
            (self._clock(), id_),
        )
        if changed.rowcount:
            close_items(tx, id_, "ready", "", "")
        return bool(changed.rowcount)

    def settle(self, tx: sqlite3.Connection, id_: str, status: Ended, reason: str, fix: str) -> None:
        """End the work on a document before it is ready, and tell the jobs that wait for it."""
        changed = tx.execute(
            """UPDATE documents SET status = ?, reason = ?, fix = ?, num_chunks = 0, num_embedded = 0, updated_at = ?
            WHERE id = ? AND status NOT IN ('ready', 'failed', 'cancelled')""",
            (status, reason, fix, self._clock(), id_),
        )
        if changed.rowcount:
            self.chunks.drop(tx, id_)
            close_items(tx, id_, status, reason, fix)

    def fail(self, id_: str, reason: str, fix: str) -> None:
        """A document failed."""
        with self._database.write() as tx:
            self.settle(tx, id_, "failed", reason, fix)

    def delete(self, id_: str) -> str:
        """Delete a document's records; the chunks in the stores become stale. The sha256 of its content."""
        with self._database.write() as tx:
            return self.remove(tx, id_, "the document was deleted")

    def remove(self, tx: sqlite3.Connection, id_: str, reason: str) -> str:
        """As `delete`, within a transaction; the jobs that wait for the document are told the reason."""
        row = tx.execute("SELECT sha256 FROM documents WHERE id = ?", (id_,)).fetchone()
        if row is None:
            raise NotFound(f"there is no document '{id_}'", help="it may have been deleted already")
        self.chunks.drop(tx, id_)
        close_items(tx, id_, "cancelled", reason, "")
        tx.execute("DELETE FROM documents WHERE id = ?", (id_,))
        return str(row["sha256"])

    def incomplete(self, collection_id: int) -> list[tuple[str, str]]:
        """Ids and names of documents that are called ready and are not whole on record."""
        rows = self._database.read().execute(
            """SELECT d.id, d.name FROM documents d JOIN collections k ON k.id = d.collection_id
            LEFT JOIN chunks c ON c.document_id = d.id
            LEFT JOIN vectors v ON v.chunk_key = c.key AND v.generation = k.generation
            WHERE d.collection_id = ? AND d.status = 'ready' GROUP BY d.id
            HAVING count(c.key) != d.num_chunks OR count(v.chunk_key) != d.num_chunks OR d.num_chunks = 0
            OR d.num_embedded != d.num_chunks OR sum(length(v.vector) != 4 * k.dimension) > 0""",
            (collection_id,),
        )
        return [(row["id"], row["name"]) for row in rows]

    def named_contents(self, collection_id: int) -> list[tuple[str, str]]:
        """Names and digests of a collection's documents."""
        rows = self._database.read().execute(
            "SELECT name, sha256 FROM documents WHERE collection_id = ? ORDER BY name", (collection_id,)
        )
        return [(row["name"], row["sha256"]) for row in rows]

    def content_of(self, id_: str) -> str:
        """Digest of a document's original; NotFound."""
        row = self._database.read().execute("SELECT sha256 FROM documents WHERE id = ?", (id_,)).fetchone()
        if row is None:
            raise NotFound(f"there is no document '{id_}'", help="it may have been deleted already")
        return str(row[0])

    def contents(self, collection_id: int) -> list[str]:
        """Digests of a collection's contents."""
        rows = self._database.read().execute(
            "SELECT DISTINCT sha256 FROM documents WHERE collection_id = ?", (collection_id,)
        )
        return [row[0] for row in rows]


def work_of(row: sqlite3.Row) -> Work:
    """The work of a row of the table."""
    return Work(
        row["id"], row["collection_id"], row["name"], row["media_type"], row["sha256"], row["size_bytes"],
        cast("Status", row["status"]), row["num_chunks"], row["num_embedded"], of_record(row),
    )  # fmt: skip


def document_of(row: sqlite3.Row) -> Document:
    """The document of a row of `SELECT`."""
    return Document(
        id=row["id"], collection=row["collection"], name=row["name"], media_type=row["media_type"],
        size_bytes=row["size_bytes"], status=cast("Status", row["status"]), num_chunks=row["num_chunks"],
        reason=row["reason"], fix=row["fix"], language=row["language"],
        created_at=row["created_at"], updated_at=row["updated_at"], source=row["source"], fetched_at=row["fetched_at"],
    )  # fmt: skip
