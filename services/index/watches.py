"""Which directories are followed, and what is known of each file in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clients.errors import NotFound
from clients.index import Chunking
from clients.watching import Watch
from clients.wire import Clock

from .chunking import of_record, values_of
from .documents import Documents
from .schema import Database

REPLACED = "a newer version of the file took its place"
DELETED = "the file was deleted"


@dataclass(frozen=True, slots=True)
class Followed:
    """A directory that is followed, as the one who follows it wants it."""

    id: int
    collection_id: int
    collection: str
    path: str
    removes: bool
    chunking: Chunking


@dataclass(frozen=True, slots=True)
class Known:
    """A file as it was when it was taken over.

    Attributes:
        document_id: what became of it; empty when it was refused.
        is_own: the document came from here, and was given by nobody else before.
        former: documents whose place it takes as soon as it is ready.
    """

    path: str
    mtime_ns: int
    size_bytes: int
    document_id: str
    is_own: bool
    former: tuple[str, ...]


class WatchRecords:
    """Watches on record."""

    def __init__(self, database: Database, documents: Documents, clock: Clock) -> None:
        self._database = database
        self._documents = documents
        self._clock = clock

    def put(self, collection_id: int, path: Path, chunking: Chunking, *, removes: bool) -> int:
        """Follow a path, or follow it in another way; its number."""
        with self._database.write() as tx:
            tx.execute(
                """INSERT INTO watches (collection_id, path, removes, size, overlap, by_line, strategy, created_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET removes = excluded.removes,
                size = excluded.size, overlap = excluded.overlap, by_line = excluded.by_line,
                strategy = excluded.strategy""",
                (collection_id, str(path), removes, *values_of(chunking), self._clock()),
            )
            row = tx.execute(
                "SELECT id FROM watches WHERE collection_id = ? AND path = ?", (collection_id, str(path))
            ).fetchone()
        return int(row[0])

    def forget(self, id_: int) -> None:
        """Follow it no longer; NotFound."""
        with self._database.write() as tx:
            if not tx.execute("DELETE FROM watches WHERE id = ?", (id_,)).rowcount:
                raise NotFound(f"there is no watch {id_}", help="ragq watch list shows them")

    def all(self) -> list[Followed]:
        """Everything that is followed."""
        rows = self._database.read().execute(
            "SELECT w.*, c.name FROM watches w JOIN collections c ON c.id = w.collection_id ORDER BY w.id"
        )
        return [
            Followed(r["id"], r["collection_id"], r["name"], r["path"], bool(r["removes"]), of_record(r)) for r in rows
        ]

    def shown(self) -> list[Watch]:
        """Everything that is followed, for people."""
        rows = self._database.read().execute(
            """SELECT w.*, c.name, (SELECT count(*) FROM watched_files f WHERE f.watch_id = w.id) AS num_files
            FROM watches w JOIN collections c ON c.id = w.collection_id ORDER BY w.id"""
        )
        return [
            Watch(
                r["id"], r["name"], r["path"], bool(r["removes"]), r["num_files"], r["num_waiting"], r["checked_at"],
                r["reason"],
            )
            for r in rows
        ]  # fmt: skip

    def looked(self, id_: int, num_waiting: int, reason: str) -> None:
        """It was looked at just now."""
        with self._database.write() as tx:
            tx.execute(
                "UPDATE watches SET checked_at = ?, num_waiting = ?, reason = ? WHERE id = ?",
                (self._clock(), num_waiting, reason, id_),
            )

    def files(self, id_: int) -> dict[str, Known]:
        """What is known of its files, by path."""
        rows = self._database.read().execute("SELECT * FROM watched_files WHERE watch_id = ?", (id_,))
        return {
            r["path"]: Known(
                r["path"], r["mtime_ns"], r["size_bytes"], r["document_id"], bool(r["is_own"]),
                tuple(r["former"].split()),
            )
            for r in rows
        }  # fmt: skip

    def keep(self, tx: sqlite3.Connection, id_: int, known: Known) -> None:
        """Keep what is known of a file."""
        tx.execute(
            "INSERT OR REPLACE INTO watched_files VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                id_, known.path, known.mtime_ns, known.size_bytes, known.document_id, known.is_own,
                " ".join(known.former),
            ),
        )  # fmt: skip

    def is_known(self, tx: sqlite3.Connection, document_id: str) -> bool:
        """Whether a document is on record."""
        return tx.execute("SELECT 1 FROM documents WHERE id = ?", (document_id,)).fetchone() is not None

    def replaced(self, id_: int) -> list[str]:
        """Delete the documents whose place another one has taken; digests of the contents that are gone."""
        gone: list[str] = []
        with self._database.write() as tx:
            rows = tx.execute(
                """SELECT f.* FROM watched_files f JOIN documents d ON d.id = f.document_id
                WHERE f.watch_id = ? AND f.former != '' AND d.status = 'ready'""",
                (id_,),
            ).fetchall()
            for row in rows:
                tx.execute("UPDATE watched_files SET former = '' WHERE watch_id = ? AND path = ?", (id_, row["path"]))
                for former in row["former"].split():
                    gone += self._drop(tx, former, REPLACED)
        return gone

    def deleted(self, followed: Followed, known: Sequence[Known]) -> list[str]:
        """Files are gone: their documents go too where that is wanted; digests of the contents that are gone."""
        gone: list[str] = []
        with self._database.write() as tx:
            for file in known:
                tx.execute("DELETE FROM watched_files WHERE watch_id = ? AND path = ?", (followed.id, file.path))
                own = (*file.former, file.document_id) if file.is_own else file.former
                for document_id in own if followed.removes else ():
                    gone += self._drop(tx, document_id, DELETED)
        return gone

    def _drop(self, tx: sqlite3.Connection, document_id: str, reason: str) -> list[str]:
        """Delete a document unless another followed file is it, or it is gone already."""
        wanted = tx.execute("SELECT 1 FROM watched_files WHERE document_id = ?", (document_id,)).fetchone()
        if wanted or not self.is_known(tx, document_id):
            return []
        return [self._documents.remove(tx, document_id, reason)]
