"""What happens to a chunk that a person edits, merges, splits or switches off."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence

import numpy as np

from clients.documents import Chunk, Document
from clients.editing import MAX_CHUNK_CHARS
from clients.errors import BadRequest
from clients.wire import Clock

from .catalog import Catalog, Shelf
from .chunks import chunk_id, chunk_of, no_chunk
from .content import content_of, entry_id
from .embedding import LLM
from .ingest import check_model
from .jobs import OpenJob
from .publishing import Publisher

EMBED_TIMEOUT_S = 20.0
# Stands in place of the text as it was cut, for a chunk that was made by merging or splitting.
REARRANGED = ""
Change = Callable[[sqlite3.Connection], list[int]]


class Editor:
    """Changes chunks; every change is on record before the stores hear of it, and in the next search.

    A chunk's id is made of its text, so a changed chunk has a new one: the stores forget the old id and
    learn the new one by the same steps as at ingest, and a process that dies in between leaves nothing half.
    The former id still opens the chunk, because citations of earlier answers name it.

    Args:
        catalog: the records.
        publisher: tells the stores.
        llm: embeds new texts.
        clock: seconds since 1970.
    """

    def __init__(self, catalog: Catalog, publisher: Publisher, llm: LLM, clock: Clock) -> None:
        self._catalog = catalog
        self._publisher = publisher
        self._llm = llm
        self._clock = clock

    def edit(self, id_: str, text: str) -> Chunk:
        """Give a chunk another text."""
        text = _checked(text)
        row = self._row(id_)
        if text == row["text"]:
            return chunk_of(row)
        as_cut = row["text"] if row["as_cut"] is None else row["as_cut"]
        return self._apply(row, [text], lambda tx: [_write(tx, row, text, as_cut, row["start"], row["end"])])[0]

    def revert(self, id_: str) -> Chunk:
        """Give a chunk the text that it was cut with."""
        row = self._row(id_)
        if row["as_cut"] == REARRANGED:
            raise BadRequest(
                "the chunk was made by merging or splitting", help="recut the document: that takes back every change"
            )
        return chunk_of(row) if row["as_cut"] is None else self.edit(id_, row["as_cut"])

    def merge(self, id_: str) -> Chunk:
        """Let a chunk take in the one after it; what both repeat of each other is there once."""
        row = self._row(id_)
        after = self._next(row)
        text = _checked(_joined(row["text"], after["text"]))

        def change(tx: sqlite3.Connection) -> list[int]:
            _absorb(tx, row, after)
            return [_write(tx, row, text, REARRANGED, row["start"], max(row["end"], after["end"]))]

        return self._apply(row, [text], change)[0]

    def split(self, id_: str, at: int) -> list[Chunk]:
        """Cut a chunk in two before character ``at``; the offsets of an edited chunk stay those of the whole."""
        row = self._row(id_)
        head, tail = row["text"][: max(at, 0)].rstrip(), row["text"][max(at, 0) :].lstrip()
        if not head or not tail:
            raise BadRequest(f"at: {at} leaves one part without text", help=f"0 < at < {len(row['text'])}")
        middle = _offset(row, len(row["text"]) - len(tail))

        def change(tx: sqlite3.Connection) -> list[int]:
            second = _insert(tx, row, tail, middle)
            return [_write(tx, row, head, REARRANGED, row["start"], _offset(row, len(head), row["end"])), second]

        return self._apply(row, [head, tail], change)

    def switch(self, ids: Sequence[str], *, is_enabled: bool) -> list[Chunk]:
        """Let searches find chunks of one document, or not."""
        rows = [self._row(id_) for id_ in ids]
        if len({row["document_id"] for row in rows}) != 1:
            raise BadRequest("ids: chunks of one document are wanted")
        keys = [row["key"] for row in rows]

        def change(tx: sqlite3.Connection) -> list[int]:
            tx.executemany("UPDATE chunks SET is_enabled = ? WHERE key = ?", [(is_enabled, key) for key in keys])
            if not is_enabled:
                _make_stale(tx, keys)
            return keys

        return self._apply(rows[0], [], change)

    def recut(self, document_id: str) -> OpenJob:
        """Take back every change by hand: the document is cut anew from its original."""
        return self._catalog.jobs.redo(self._ready(document_id).id, "recut")

    # -- reading ---------------------------------------------------------------------------------------

    def _row(self, id_: str) -> sqlite3.Row:
        read = self._catalog.database.read()
        row: sqlite3.Row | None = read.execute("SELECT * FROM chunks WHERE id = ?", (id_,)).fetchone()
        if row is None:
            if read.execute("SELECT 1 FROM former_chunks WHERE id = ?", (id_,)).fetchone():
                raise _changed()
            raise no_chunk(id_)
        self._ready(row["document_id"])
        return row

    def _ready(self, document_id: str) -> Document:
        document = self._catalog.documents.get(document_id)
        if document.status != "ready":
            raise BadRequest(f"{document.name} is {document.status}", help="chunks can be changed when it is ready")
        return document

    def _next(self, row: sqlite3.Row) -> sqlite3.Row:
        after: sqlite3.Row | None = (
            self._catalog.database.read()
            .execute(
                "SELECT * FROM chunks WHERE document_id = ? AND position > ? ORDER BY position LIMIT 1",
                (row["document_id"], row["position"]),
            )
            .fetchone()
        )
        if after is None:
            raise BadRequest("the chunk is the last one of its document", help="merge the one before it")
        return after

    # -- writing ---------------------------------------------------------------------------------------

    def _apply(self, row: sqlite3.Row, texts: Sequence[str], change: Change) -> list[Chunk]:
        """Make a change on record, then tell the stores.

        Args:
            row: the chunk that is changed, as it was read.
            texts: the new texts, in the order of the numbers that ``change`` returns; their vectors are made before
                the transaction, which holds everybody else's up.
            change: writes, and returns the numbers of the chunks that it wrote.
        """
        while True:
            shelf = self._shelf(row["document_id"])
            rows = self._write(shelf, row, self._vectors(shelf, row, texts), change)
            if rows is not None:
                self._publisher.renew(shelf, [r["entry"] for r in rows if r["is_enabled"]])
                return [chunk_of(r) for r in rows]

    def _write(
        self, shelf: Shelf, row: sqlite3.Row, vectors: Sequence[bytes], change: Change
    ) -> list[sqlite3.Row] | None:
        """The rows that were written; None when the vectors are of a generation that was replaced meanwhile."""
        with self._catalog.database.write() as tx:
            now = tx.execute("SELECT id FROM chunks WHERE key = ?", (row["key"],)).fetchone()
            if now is None or now["id"] != row["id"]:
                raise _changed()
            if self._catalog.shelf_in(tx, shelf.id) != shelf:
                return None
            keys = change(tx)
            made = [(key, shelf.generation, vector) for key, vector in zip(keys, vectors, strict=False)]
            tx.executemany("INSERT INTO vectors VALUES (?, ?, ?)", made)
            _recount(tx, row["document_id"], self._clock())
            return [tx.execute("SELECT * FROM chunks WHERE key = ?", (key,)).fetchone() for key in keys]

    def _vectors(self, shelf: Shelf, row: sqlite3.Row, texts: Sequence[str]) -> list[bytes]:
        if not texts:
            return []
        contents = [content_of(text, row["heading"]) for text in texts]
        made = self._llm.embed(contents, model=shelf.model, dimension=shelf.dimension, timeout_s=EMBED_TIMEOUT_S)
        vectors = np.ascontiguousarray(made, np.float32)
        check_model(shelf, shelf.model, vectors.shape[1])
        return [vector.tobytes() for vector in vectors]

    def _shelf(self, document_id: str) -> Shelf:
        return self._catalog.shelf(self._catalog.documents.get(document_id).collection)


def _write(tx: sqlite3.Connection, row: sqlite3.Row, text: str, as_cut: str, start: int, end: int) -> int:
    """A chunk's new text, and with it its new id."""
    key = int(row["key"])
    new = _hand_made_id(row["document_id"], key, text)
    _make_stale(tx, [key])
    tx.execute("INSERT OR IGNORE INTO former_chunks VALUES (?, ?)", (row["id"], key))
    tx.execute("DELETE FROM former_chunks WHERE id = ?", (new,))
    tx.execute("DELETE FROM vectors WHERE chunk_key = ?", (key,))
    tx.execute(
        'UPDATE chunks SET id = ?, text = ?, start = ?, "end" = ?, as_cut = ?, entry = ? WHERE key = ?',
        (new, text, start, end, None if text == as_cut else as_cut, entry_id(text, row["heading"]), key),
    )
    return key


def _absorb(tx: sqlite3.Connection, row: sqlite3.Row, after: sqlite3.Row) -> None:
    _make_stale(tx, [after["key"]])
    tx.execute("UPDATE former_chunks SET chunk_key = ? WHERE chunk_key = ?", (row["key"], after["key"]))
    tx.execute("DELETE FROM chunks WHERE key = ?", (after["key"],))
    tx.execute("INSERT OR REPLACE INTO former_chunks VALUES (?, ?)", (after["id"], row["key"]))
    _shift(tx, row["document_id"], after["position"], -1)


def _insert(tx: sqlite3.Connection, row: sqlite3.Row, text: str, start: int) -> int:
    """A new chunk behind another."""
    _shift(tx, row["document_id"], row["position"] + 1, 1)
    made = tx.execute(
        """INSERT INTO chunks (id, document_id, position, text, start, "end", page, heading, is_enabled, as_cut,
        entry, parent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            f"new-{row['key']}", row["document_id"], row["position"] + 1, text, start, row["end"], row["page"],
            row["heading"], row["is_enabled"], REARRANGED, entry_id(text, row["heading"]), row["parent"],
        ),
    )  # fmt: skip
    key = int(made.lastrowid or 0)
    tx.execute("UPDATE chunks SET id = ? WHERE key = ?", (_hand_made_id(row["document_id"], key, text), key))
    return key


def _changed() -> BadRequest:
    return BadRequest("the chunk was changed meanwhile", help="load the document's chunks again")


def _checked(text: str) -> str:
    text = text.strip()
    if not text:
        raise BadRequest("text: is empty", help="switch the chunk off instead")
    if len(text) > MAX_CHUNK_CHARS:
        raise BadRequest(f"text: {len(text)} characters; at most {MAX_CHUNK_CHARS}", help="split the chunk")
    return text


def _joined(text: str, after: str) -> str:
    """Both texts; the longest end of the first with which the second begins is an overlap, and is there once."""
    shared = next((n for n in range(min(len(text), len(after)), 0, -1) if text.endswith(after[:n])), 0)
    return text + after[shared:] if shared > 1 else f"{text}\n{after}"


def _offset(row: sqlite3.Row, at: int, otherwise: int | None = None) -> int:
    """The document's offset of a chunk's character; only a chunk as it was cut knows it."""
    if row["as_cut"] is None and row["end"] - row["start"] == len(row["text"]):
        return int(row["start"]) + at
    return int(row["start"]) if otherwise is None else otherwise


def _hand_made_id(document_id: str, key: int, text: str) -> str:
    """Made of the chunk's number too: by positions, two chunks could get the same one."""
    return chunk_id(f"{document_id}\0by hand", key, text)


def _make_stale(tx: sqlite3.Connection, keys: Sequence[int]) -> None:
    """The stores are to forget what chunks have in them now."""
    tx.execute(
        """INSERT OR IGNORE INTO stale_entries SELECT d.collection_id, c.entry FROM chunks c
        JOIN documents d ON d.id = c.document_id WHERE c.key IN (SELECT value FROM json_each(?))""",
        (json.dumps(list(keys)),),
    )


def _shift(tx: sqlite3.Connection, document_id: str, first: int, by: int) -> None:
    """Move the chunks from a position on; through negative numbers, because positions are unique at every moment."""
    tx.execute(
        "UPDATE chunks SET position = -(position + ?) - 1 WHERE document_id = ? AND position >= ?",
        (by, document_id, first),
    )
    tx.execute("UPDATE chunks SET position = -position - 1 WHERE document_id = ? AND position < 0", (document_id,))


def _recount(tx: sqlite3.Connection, document_id: str, now: float) -> None:
    tx.execute(
        """UPDATE documents SET updated_at = :now,
        num_chunks = (SELECT count(*) FROM chunks WHERE document_id = :id),
        num_embedded = (SELECT count(*) FROM chunks c JOIN vectors v ON v.chunk_key = c.key
            JOIN collections k ON k.id = documents.collection_id AND k.generation = v.generation
            WHERE c.document_id = :id)
        WHERE id = :id""",
        {"now": now, "id": document_id},
    )
