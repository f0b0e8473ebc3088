"""How a packed collection comes in: checked first, then on record in one transaction, then published by the ingest."""

from __future__ import annotations

import hashlib
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from clients.errors import RagqError, TooLarge
from clients.index import Chunking
from clients.packed import CHUNKS, DOCUMENTS, ORIGINALS, Manifest, PackedChunk, PackedDocument
from services.service import Call

from . import belongings
from .archive import damaged, lines_of, manifest_of, opened, rows_of
from .catalog import Catalog, Shelf, checked_name
from .chunks import chunk_id
from .content import entry_id
from .documents import Incoming
from .embedding import LLM, serving_model
from .jobs import OpenJob
from .originals import Originals

CHECK_EVERY = 500


class Unpacker:
    """Makes collections of packed files.

    Args:
        catalog: the records.
        originals: keeps the bytes of documents.
        llm: says which embedding model serves, and so whether vectors can be taken over.
        max_bytes: of one original.
    """

    def __init__(self, catalog: Catalog, originals: Originals, llm: LLM, max_bytes: int) -> None:
        self._catalog = catalog
        self._originals = originals
        self._llm = llm
        self._max_bytes = max_bytes

    def unpack(self, path: Path, name: str, call: Call) -> OpenJob:
        """Make a collection of a file: all of it, or nothing.

        Raises:
            AlreadyExists: a collection of that name is there.
            BadRequest: the file is none of ours, is of a newer format, or is damaged; says where.
        """
        with opened(path) as file:
            manifest = manifest_of(file)
            name = checked_name(name or manifest.name)
            if not self._takes(manifest):
                manifest = replace(manifest, num_vectors=0)
            with self._catalog.database.write() as tx:
                return self._write(tx, file, manifest, name, call)

    def _takes(self, manifest: Manifest) -> bool:
        """Whether the vectors are of use: of the model that serves now, or there is none to make others."""
        try:
            return serving_model(self._llm) == manifest.model
        except RagqError:
            return True

    def _write(
        self, tx: sqlite3.Connection, file: zipfile.ZipFile, manifest: Manifest, name: str, call: Call
    ) -> OpenJob:
        model, dimension = (manifest.model, manifest.dimension) if manifest.num_vectors else ("", 0)
        shelf = self._catalog.make(tx, name, manifest.title, model, dimension)
        job = self._catalog.jobs.open(tx, shelf.id, name, Chunking(), "import")
        with (
            closing(lines_of(file, CHUNKS, PackedChunk)) as chunks,
            closing(lines_of(file, DOCUMENTS, PackedDocument)) as documents,
            closing(rows_of(file, manifest)) as vectors,
        ):
            for number, document in enumerate(documents):
                if number % CHECK_EVERY == 0:
                    call.check()
                self._take(tx, file, shelf, job, document, chunks, vectors)
            if next(chunks, None) is not None:
                raise damaged(f"{CHUNKS} has more lines than {DOCUMENTS} says")
        belongings.take(tx, self._catalog, file, manifest, shelf)
        return job

    def _take(
        self,
        tx: sqlite3.Connection,
        file: zipfile.ZipFile,
        shelf: Shelf,
        job: OpenJob,
        document: PackedDocument,
        chunks: Iterator[PackedChunk],
        vectors: Iterator[bytes],
    ) -> None:
        has_original = self._keep(tx, file, document)
        chunking = Chunking(document.size, document.overlap, document.by_line, document.strategy)
        new = Incoming(
            document.name,
            document.media_type,
            document.sha256,
            document.size_bytes,
            document.source,
            document.fetched_at,
        )
        if not document.num_chunks:
            if has_original:
                self._catalog.jobs.add(tx, replace(job, chunking=chunking), new)
            return
        id_ = self._catalog.documents.adopt(tx, shelf.id, shelf.name, new, document.language, chunking)
        num_embedded = sum(self._put(tx, id_, position, chunks, vectors) for position in range(document.num_chunks))
        tx.execute(
            "UPDATE documents SET num_chunks = ?, num_embedded = ?, created_at = ? WHERE id = ?",
            (document.num_chunks, num_embedded, document.created_at, id_),
        )
        self._catalog.jobs.wait_for(tx, job, id_, new)

    def _keep(self, tx: sqlite3.Connection, file: zipfile.ZipFile, document: PackedDocument) -> bool:
        try:
            info = file.getinfo(ORIGINALS + document.sha256)
        except KeyError:
            return False
        if info.file_size > self._max_bytes:
            raise TooLarge(f"{document.name} has {info.file_size >> 20} MB", help="raise index.max_file_mb")
        content = file.read(info)
        if hashlib.sha256(content).hexdigest() != document.sha256:
            raise damaged(f"the original of {document.name} is not what it was")
        self._originals.keep(tx, content)
        return True

    def _put(
        self,
        tx: sqlite3.Connection,
        document_id: str,
        position: int,
        chunks: Iterator[PackedChunk],
        vectors: Iterator[bytes],
    ) -> bool:
        """Write a chunk; whether a vector came with it."""
        chunk = next(chunks, None)
        if chunk is None:
            raise damaged(f"{CHUNKS} has fewer lines than {DOCUMENTS} says")
        made = tx.execute(
            """INSERT INTO chunks
            (id, document_id, position, text, start, "end", page, heading, is_enabled, as_cut, entry, parent)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                chunk_id(document_id, position, chunk.text), document_id, position, chunk.text, chunk.start, chunk.end,
                chunk.page, chunk.heading, chunk.is_enabled, chunk.as_cut, entry_id(chunk.text, chunk.heading),
                chunk.parent,
            ),
        )  # fmt: skip
        vector = next(vectors, None)
        if vector is not None:
            tx.execute("INSERT INTO vectors (chunk_key, generation, vector) VALUES (?, 0, ?)", (made.lastrowid, vector))
        return vector is not None
