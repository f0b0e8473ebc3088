"""What should the stores hold: each distinct content of a collection once, however many chunks have it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from clients.index import Chunk

from .chunks import Stored, chunk_of
from .content import content_of
from .schema import Database

MAX_COUNTED = 1000
# Documents that are embedded count as well: what is in the stores of one that is about to be ready stays there.
IN_USE = """SELECT 1 FROM chunks c CROSS JOIN documents d ON d.id = c.document_id
WHERE c.entry = ? AND c.is_enabled AND d.collection_id = ? AND d.status IN ('ready', 'embedding')"""
# CROSS JOIN keeps the order of the tables: an entry's chunks are read newest first, and no more of them than needed.
SEARCHED = """chunks c CROSS JOIN documents d ON d.id = c.document_id
WHERE c.entry = w.value AND c.is_enabled AND d.collection_id = :shelf AND d.status = 'ready'
AND c.document_id NOT IN (SELECT value FROM json_each(:without))
AND (:is_open OR is_within(c.document_id))"""
NEWEST = f"""SELECT c.*, d.name AS document, d.source FROM json_each(:ids) w
JOIN chunks c ON c.key = (SELECT c.key FROM {SEARCHED} ORDER BY c.key DESC LIMIT 1)
JOIN documents d ON d.id = c.document_id"""  # noqa: S608 - made of the constants above
COPIES = f"""SELECT c.*, d.name AS document, d.source,
(SELECT count(*) FROM (SELECT 1 FROM {SEARCHED} LIMIT {MAX_COUNTED})) AS num_copies
FROM json_each(:ids) w JOIN chunks c ON c.key IN (SELECT c.key FROM {SEARCHED} ORDER BY c.key DESC LIMIT :limit)
JOIN documents d ON d.id = c.document_id ORDER BY c.key DESC"""  # noqa: S608 - made of the constants above
OF_DOCUMENTS = """SELECT c.entry FROM json_each(:documents) w CROSS JOIN chunks c ON c.document_id = w.value
WHERE c.is_enabled"""
EMBEDDED = """SELECT w.value AS entry, c.text, c.heading, v.vector FROM json_each(:ids) w JOIN chunks c ON c.key = (
    SELECT c.key FROM chunks c CROSS JOIN vectors v ON v.chunk_key = c.key AND v.generation = :generation
    CROSS JOIN documents d ON d.id = c.document_id
    WHERE c.entry = w.value AND c.is_enabled AND d.collection_id = :shelf AND d.status = 'ready' LIMIT 1)
JOIN vectors v ON v.chunk_key = c.key AND v.generation = :generation"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A content as the stores want it.

    Attributes:
        id: made of the content; see `services.index.content.entry_id`.
        content: what the keyword index reads.
        vector: float32 [dim].
    """

    id: str
    content: str
    vector: np.ndarray


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk of a ready document.

    Attributes:
        document: the document's name.
        num_copies: how many chunks that searches may find have this content, itself included; counted up to 1000.
        source: URL of the web page that the document is.
        parent: number of the section that is given for the chunk; -1 when it stands for itself.
    """

    chunk: Chunk
    document: str
    num_copies: int = 1
    source: str = ""
    parent: int = -1

    @property
    def family(self) -> tuple[str, int, str]:
        """Equal for chunks for which the same text is given."""
        return self.chunk.document_id, self.parent, self.chunk.id if self.parent < 0 else ""


class Entries:
    """The contents of a collection on record.

    Hundreds of equal vectors make an HNSW graph that leads nowhere else, and they fill a search's hits; so equal
    chunks (footers, licences, copies of a document) share one entry in the vector store and the keyword index.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def wanted(self, collection_id: int) -> set[str]:
        """Ids of all entries that the stores should hold: those of chunks that searches may find."""
        return self._ids(collection_id, "ready")

    def count(self, collection_id: int, limit: int) -> int:
        """How many entries the stores should hold; counted up to ``limit``."""
        row = (
            self._database.read()
            .execute(
                """SELECT count(*) FROM (SELECT DISTINCT c.entry FROM chunks c JOIN documents d ON d.id = c.document_id
                WHERE d.collection_id = ? AND d.status = 'ready' AND c.is_enabled LIMIT ?)""",
                (collection_id, limit),
            )
            .fetchone()
        )
        return int(row[0])

    def coming(self, collection_id: int) -> set[str]:
        """Ids of entries that the stores may hold besides: documents on their way are brought there in parts."""
        return self._ids(collection_id, "embedding")

    def _ids(self, collection_id: int, status: str) -> set[str]:
        rows = self._database.read().execute(
            """SELECT DISTINCT c.entry FROM chunks c JOIN documents d ON d.id = c.document_id
            WHERE d.collection_id = ? AND d.status = ? AND c.is_enabled""",
            (collection_id, status),
        )
        return {row[0] for row in rows}

    def by_id(self, collection_id: int, ids: Sequence[str], generation: int | None = None) -> Iterator[Entry]:
        """Entries of ready documents, in no order; unknown ids are left out.

        Args:
            collection_id: the collection's number.
            ids: of the entries.
            generation: whose vectors; None means those that are searched.
        """
        read = self._database.read()
        if generation is None:
            row = read.execute("SELECT generation FROM collections WHERE id = ?", (collection_id,)).fetchone()
            generation = row[0] if row else -1
        given = {"shelf": collection_id, "ids": json.dumps(list(ids)), "generation": generation}
        rows = read.execute(EMBEDDED, given)
        for row in rows:
            content = content_of(row["text"], row["heading"])
            yield Entry(row["entry"], content, np.frombuffer(row["vector"], np.float32))

    def of_documents(self, documents: Collection[str]) -> list[str]:
        """Ids of the entries that searches may find in documents that are ready; each once."""
        rows = self._database.read().execute(OF_DOCUMENTS, {"documents": json.dumps(list(documents))})
        return list(dict.fromkeys(row[0] for row in rows))

    def found(
        self,
        collection_id: int,
        ids: Iterable[str],
        without: Sequence[str] = (),
        within: Collection[str] | None = None,
    ) -> dict[str, Found]:
        """The newest chunk of each entry that searches may find, not counted; entries without any are left out.

        Args:
            collection_id: the collection's number.
            ids: of the entries.
            without: chunks of these documents do not count.
            within: only chunks of these documents count; None for all.
        """
        with self._database.limited(within or ()) as read:
            rows = read.execute(NEWEST, _given(collection_id, ids, without, within)).fetchall()
        return {
            row["entry"]: Found(chunk_of(row), row["document"], source=row["source"], parent=row["parent"])
            for row in rows
        }

    def copies(
        self,
        collection_id: int,
        ids: Iterable[str],
        limit: int,
        without: Sequence[str] = (),
        within: Collection[str] | None = None,
    ) -> dict[str, list[Found]]:
        """As found, the newest chunks of each entry up to ``limit``, and how many there are."""
        given = {**_given(collection_id, ids, without, within), "limit": limit}
        with self._database.limited(within or ()) as read:
            rows = read.execute(COPIES, given).fetchall()
        found: dict[str, list[Found]] = {}
        for row in rows:
            found.setdefault(row["entry"], []).append(
                Found(chunk_of(row), row["document"], row["num_copies"], row["source"], row["parent"])
            )
        return found

    def disown(self, tx: sqlite3.Connection, collection_id: int, chunks: Sequence[Stored]) -> None:
        """Put the entries of those of the chunks on record as stale that are no chunks any more."""
        tx.executemany(
            "INSERT OR IGNORE INTO stale_entries SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM chunks WHERE id = ?)",
            [(collection_id, chunk.entry, chunk.id) for chunk in chunks],
        )

    def stale(self, limit: int) -> list[tuple[int, str]]:
        """Collection numbers and ids of entries that have lost a chunk, and maybe their last."""
        rows = self._database.read().execute(
            "SELECT collection_id, entry FROM stale_entries ORDER BY collection_id LIMIT ?", (limit,)
        )
        return [(row[0], row[1]) for row in rows]

    def new(self, collection_id: int, entries: Sequence[Entry]) -> list[Entry]:
        """Those of the entries that no ready document has: the others are in the stores."""
        read = self._database.read()
        query = f"{IN_USE} AND d.status = 'ready'"
        return [entry for entry in entries if read.execute(query, (entry.id, collection_id)).fetchone() is None]

    def unused(self, collection_id: int, ids: Sequence[str]) -> list[str]:
        """Those of the ids that no chunk needs in the stores any more."""
        read = self._database.read()
        return [id_ for id_ in ids if read.execute(IN_USE, (id_, collection_id)).fetchone() is None]

    def forget(self, collection_id: int, gone: Sequence[str], left: Sequence[str]) -> None:
        """The stores let go of ``gone``; what was ``left`` is looked at again if it lost its last chunk since."""
        drop = "DELETE FROM stale_entries WHERE collection_id = ? AND entry = ?"
        with self._database.write() as tx:
            tx.executemany(drop, [(collection_id, id_) for id_ in gone])
            tx.executemany(f"{drop} AND EXISTS ({IN_USE})", [(collection_id, id_, id_, collection_id) for id_ in left])


def _given(
    collection_id: int, ids: Iterable[str], without: Sequence[str], within: Collection[str] | None
) -> dict[str, object]:
    asked, less = json.dumps(list(ids)), json.dumps(list(without))
    return {"shelf": collection_id, "ids": asked, "without": less, "is_open": within is None}


def distinct(chunks: Iterable[Stored]) -> list[Entry]:
    """The entries of embedded chunks, each once."""
    entries = {c.entry: Entry(c.entry, c.content, c.vector) for c in chunks if c.vector is not None}
    return list(entries.values())
