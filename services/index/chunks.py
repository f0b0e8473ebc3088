"""Which chunks a document has, with their vectors."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clients.errors import BadRequest, NotFound
from clients.index import Chunk
from clients.index import Chunks as ChunkPage

from .content import content_of, entry_id
from .schema import Database

MAX_PAGE = 1000
MAX_AROUND = 50

BY_ID_OR_FORMER = """SELECT * FROM chunks WHERE id = :id
UNION ALL SELECT c.* FROM former_chunks f JOIN chunks c ON c.key = f.chunk_key WHERE f.id = :id LIMIT 1"""


@dataclass(frozen=True, slots=True)
class Piece:
    """A span of a document's text, cut to be a chunk: ``text == document[start:end]``.

    Attributes:
        page: 1-based; 0 where the format has none.
        heading: path of headings above it, joined by `` > ``.
        parent: number of the section inside the document that is given for it; -1 when it stands for itself.
    """

    text: str
    start: int
    end: int
    page: int = 0
    heading: str = ""
    parent: int = -1


@dataclass(frozen=True, slots=True)
class Stored:
    """A chunk as the stores want it.

    Attributes:
        key: its number in the records.
        entry: the id of its content inside the stores, which equal chunks share.
        vector: float32 [dim], or None before it is embedded.
    """

    key: int
    id: str
    document_id: str
    text: str
    heading: str
    entry: str
    vector: np.ndarray | None = None

    @property
    def content(self) -> str:
        """What is embedded and indexed: the text below its headings."""
        return content_of(self.text, self.heading)


def chunk_id(document_id: str, position: int, text: str) -> str:
    """The id of a chunk: 32 hexadecimal digits of document, position and text."""
    return hashlib.sha256(f"{document_id}\0{position}\0{text}".encode()).hexdigest()[:32]


class Chunks:
    """Chunks on record."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def drop(self, tx: sqlite3.Connection, document_id: str) -> None:
        """Delete a document's chunks; what the stores hold of them stays on record as stale until it was looked at."""
        tx.execute(
            """INSERT OR IGNORE INTO stale_entries SELECT d.collection_id, c.entry FROM chunks c
            JOIN documents d ON d.id = c.document_id WHERE c.document_id = ?""",
            (document_id,),
        )
        tx.execute("DELETE FROM chunks WHERE document_id = ?", (document_id,))

    def append(self, tx: sqlite3.Connection, document_id: str, first: int, pieces: Sequence[Piece]) -> None:
        """Write chunks of a document, the first of them at position ``first``."""
        rows = [
            (
                chunk_id(document_id, n, p.text), document_id, n, p.text, p.start, p.end, p.page, p.heading,
                entry_id(p.text, p.heading), p.parent,
            )
            for n, p in enumerate(pieces, first)
        ]  # fmt: skip
        tx.executemany(
            """INSERT INTO chunks (id, document_id, position, text, start, "end", page, heading, entry, parent)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            rows,
        )

    def next_to_embed(self, document_id: str, limit: int) -> list[Stored]:
        """The next chunks of a document without vectors; vectors are put in the order of positions."""
        rows = self._database.read().execute(
            """SELECT c.* FROM chunks c JOIN documents d ON d.id = c.document_id
            WHERE c.document_id = ? AND c.position >= d.num_embedded ORDER BY c.position LIMIT ?""",
            (document_id, limit),
        )
        return [stored(row) for row in rows]

    def put_vectors(self, chunks: Sequence[Stored], vectors: np.ndarray, generation: int) -> None:
        """Keep the vectors of chunks; those whose document or generation went away meanwhile are left out.

        Args:
            chunks: as `next_to_embed` gave them.
            generation: of the vectors.
            vectors: float32 [n, dim], a row for each.
        """
        rows = np.ascontiguousarray(vectors, np.float32)
        with self._database.write() as tx:
            for chunk, row in zip(chunks, rows, strict=True):
                made = tx.execute(
                    """INSERT OR REPLACE INTO vectors SELECT c.key, k.generation, ? FROM chunks c
                    JOIN documents d ON d.id = c.document_id JOIN collections k ON k.id = d.collection_id
                    WHERE c.key = ? AND c.id = ? AND k.generation = ?""",
                    (row.tobytes(), chunk.key, chunk.id, generation),
                )
                if made.rowcount > 0:
                    tx.execute(
                        "UPDATE documents SET num_embedded = num_embedded + 1 WHERE id = ?", (chunk.document_id,)
                    )

    def of_document(self, document_id: str, after: int, limit: int) -> list[Stored]:
        """Embedded chunks of a document that searches may find, with keys above ``after``, in order of their keys."""
        rows = self._database.read().execute(
            """SELECT c.*, v.vector FROM chunks c JOIN documents d ON d.id = c.document_id
            JOIN collections k ON k.id = d.collection_id
            JOIN vectors v ON v.chunk_key = c.key AND v.generation = k.generation
            WHERE c.document_id = ? AND c.key > ? AND c.is_enabled ORDER BY c.key LIMIT ?""",
            (document_id, after, limit),
        )
        return [stored(row) for row in rows]

    def page(self, document_id: str, offset: int, limit: int) -> ChunkPage:
        """A page of a document's chunks in their order."""
        if offset < 0 or not 1 <= limit <= MAX_PAGE:
            raise BadRequest(f"a page starts at 0 or later and holds 1 to {MAX_PAGE} chunks")
        read = self._database.read()
        total = read.execute("SELECT count(*) FROM chunks WHERE document_id = ?", (document_id,)).fetchone()[0]
        rows = read.execute(
            "SELECT * FROM chunks WHERE document_id = ? ORDER BY position LIMIT ? OFFSET ?",
            (document_id, limit, offset),
        )
        return ChunkPage([chunk_of(row) for row in rows], total)

    def around(self, id_: str, reach: int) -> tuple[Chunk, list[Chunk], list[Chunk]]:
        """A chunk with the chunks before and after it; NotFound."""
        if not 0 <= reach <= MAX_AROUND:
            raise BadRequest(f"around: 0 to {MAX_AROUND} neighbours")
        read = self._database.read()
        row = read.execute(BY_ID_OR_FORMER, {"id": id_}).fetchone()
        if row is None:
            raise no_chunk(id_)
        at = row["position"]
        rows = read.execute(
            "SELECT * FROM chunks WHERE document_id = ? AND position BETWEEN ? AND ? ORDER BY position",
            (row["document_id"], at - reach, at + reach),
        )
        near = [chunk_of(r) for r in rows]
        return chunk_of(row), [c for c in near if c.position < at], [c for c in near if c.position > at]


def no_chunk(id_: str) -> NotFound:
    """What is raised for an id that no chunk has."""
    return NotFound(f"there is no chunk '{id_}'", help="its document may have been deleted or indexed anew")


def stored(row: sqlite3.Row) -> Stored:
    """The chunk of a row of the table, with its vector if the row has one."""
    raw = row["vector"] if "vector" in row.keys() else None  # noqa: SIM118 - a sqlite3.Row iterates over its values
    vector = None if raw is None else np.frombuffer(raw, np.float32)
    return Stored(row["key"], row["id"], row["document_id"], row["text"], row["heading"], row["entry"], vector)


def chunk_of(row: sqlite3.Row) -> Chunk:
    """The chunk of a row of the table."""
    return Chunk(
        row["id"],
        row["document_id"],
        row["position"],
        row["text"],
        row["start"],
        row["end"],
        row["page"],
        row["heading"],
        bool(row["is_enabled"]),
        row["as_cut"] is not None,
    )
