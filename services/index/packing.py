"""How a whole collection becomes one file; `clients.packed` says what is in it."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path

from clients.packed import (
    CHUNKS,
    DOCUMENTS,
    MANIFEST,
    ORIGINALS,
    VECTORS,
    Manifest,
    PackedChunk,
    PackedDocument,
)
from clients.transfer import Export, Piece

from . import belongings
from .archive import json_line
from .catalog import Catalog, Shelf
from .originals import Originals

TELL_EVERY = 200


class Packer:
    """Writes a collection into a file, from one moment's view of the records."""

    def __init__(self, catalog: Catalog, originals: Originals) -> None:
        self._catalog = catalog
        self._originals = originals

    def pack(self, request: Export, path: Path) -> Iterator[Piece | Manifest]:
        """Progress, and at last the manifest.

        Raises:
            NotFound: no such collection.
            BackendError: an original is gone or damaged.
        """
        read = self._catalog.database.read()
        read.execute("BEGIN")
        try:
            collection = self._catalog.collection(request.collection)
            shelf = self._catalog.shelf(request.collection)
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as file:
                documents = _documents(read, shelf)
                yield from self._pack_records(read, file, documents)
                version = belongings.pack(read, self._catalog, file, shelf, with_testsets=request.with_testsets)
                num_vectors = 0
                if request.with_vectors:
                    num_vectors = yield from self._pack_vectors(read, file, documents)
                if request.with_originals:
                    yield from self._pack_originals(file, documents)
                num_chunks = sum(row["num_chunks"] for row in documents)
                manifest = Manifest(
                    collection.name, collection.title, shelf.model, shelf.dimension,
                    len(documents), num_chunks, num_vectors, version=version,
                )  # fmt: skip
                file.writestr(MANIFEST, json.dumps(asdict(manifest), ensure_ascii=False, indent=1))
        finally:
            read.execute("ROLLBACK")
        yield manifest

    def _pack_records(
        self, read: sqlite3.Connection, file: zipfile.ZipFile, documents: list[sqlite3.Row]
    ) -> Iterator[Piece]:
        with file.open(DOCUMENTS, "w", force_zip64=True) as lines:
            for row in documents:
                lines.write(json_line(asdict(_document(row))))
        with file.open(CHUNKS, "w", force_zip64=True) as lines:
            for number, row in enumerate(documents):
                for chunk in _chunks(read, row):
                    lines.write(json_line(asdict(_chunk(chunk))))
                yield from _told("records", number, len(documents))

    def _pack_vectors(
        self, read: sqlite3.Connection, file: zipfile.ZipFile, documents: list[sqlite3.Row]
    ) -> Generator[Piece, None, int]:
        num_vectors = 0
        with file.open(zipfile.ZipInfo(VECTORS), "w", force_zip64=True) as raw:
            for number, row in enumerate(documents):
                for chunk in _chunks(read, row):
                    raw.write(chunk["vector"])
                    num_vectors += 1
                yield from _told("vectors", number, len(documents))
        return num_vectors

    def _pack_originals(self, file: zipfile.ZipFile, documents: list[sqlite3.Row]) -> Iterator[Piece]:
        for number, sha256 in enumerate(dict.fromkeys(row["sha256"] for row in documents)):
            file.writestr(ORIGINALS + sha256, self._originals.read(sha256))
            yield from _told("originals", number, len(documents))


def _documents(read: sqlite3.Connection, shelf: Shelf) -> list[sqlite3.Row]:
    """What is ready with its chunks, everything else without."""
    return read.execute(
        """SELECT id, name, media_type, sha256, size_bytes, language, size, overlap, by_line, strategy, created_at,
        source, fetched_at, CASE WHEN status = 'ready' THEN num_chunks ELSE 0 END AS num_chunks
        FROM documents WHERE collection_id = ? AND status != 'cancelled' ORDER BY created_at, id""",
        (shelf.id,),
    ).fetchall()


def _chunks(read: sqlite3.Connection, document: sqlite3.Row) -> Iterator[sqlite3.Row]:
    """Of a ready document, with their vectors; one that is on its way may have some chunks already."""
    if document["num_chunks"]:
        yield from read.execute(
            """SELECT c.*, v.vector FROM chunks c JOIN documents d ON d.id = c.document_id
            JOIN collections k ON k.id = d.collection_id
            JOIN vectors v ON v.chunk_key = c.key AND v.generation = k.generation
            WHERE c.document_id = ? ORDER BY c.position""",
            (document["id"],),
        )


def _document(row: sqlite3.Row) -> PackedDocument:
    return PackedDocument(
        row["name"], row["media_type"], row["sha256"], row["size_bytes"], row["language"], row["num_chunks"],
        row["size"], row["overlap"], bool(row["by_line"]), row["created_at"], row["strategy"],
        row["source"], row["fetched_at"],
    )  # fmt: skip


def _chunk(row: sqlite3.Row) -> PackedChunk:
    return PackedChunk(
        row["text"], row["start"], row["end"], row["page"], row["heading"], bool(row["is_enabled"]), row["as_cut"],
        row["parent"],
    )  # fmt: skip


def _told(stage: str, number: int, total: int) -> Iterator[Piece]:
    if number % TELL_EVERY == 0:
        yield Piece(stage=stage, num_done=number, num_total=total)
