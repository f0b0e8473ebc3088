"""How a packed collection comes in: checked first, then on record in one transaction, then published by the ingest."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
import zipfile
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TypeVar

import numpy as np

from clients.calibration import Calibration
from clients.errors import BadRequest, RagqError, TooLarge
from clients.index import Chunking
from clients.packed import (
    CALIBRATIONS,
    CHUNKS,
    DOCUMENTS,
    FORMAT,
    MANIFEST,
    ORIGINALS,
    PAGES,
    VECTORS,
    VERSION,
    Manifest,
    PackedChunk,
    PackedDocument,
    PackedPage,
)
from clients.reading import read
from services.service import Call

from .calibrations import CalibrationRecords
from .catalog import Catalog, Shelf, checked_name
from .chunks import chunk_id
from .content import entry_id
from .documents import Incoming, document_id
from .embedding import LLM, serving_model
from .jobs import OpenJob
from .originals import Originals

MAX_LINE_BYTES = 16 << 20
MAX_MANIFEST_BYTES = 1 << 20
CHECK_EVERY = 500
R = TypeVar("R")


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
        with _opened(path) as file:
            manifest = _manifest(file)
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
            closing(_lines(file, CHUNKS, PackedChunk)) as chunks,
            closing(_lines(file, DOCUMENTS, PackedDocument)) as documents,
            closing(_rows(file, manifest)) as vectors,
        ):
            for number, document in enumerate(documents):
                if number % CHECK_EVERY == 0:
                    call.check()
                self._take(tx, file, shelf, job, document, chunks, vectors)
            if next(chunks, None) is not None:
                raise _damaged(f"{CHUNKS} has more lines than {DOCUMENTS} says")
        self._take_belongings(tx, file, shelf)
        return job

    def _take_belongings(self, tx: sqlite3.Connection, file: zipfile.ZipFile, shelf: Shelf) -> None:
        """Versions of web pages whose documents came along, and what was fitted, which says for which models."""
        members = set(file.namelist())
        with closing(_lines(file, PAGES, PackedPage)) as pages:
            for page in pages if PAGES in members else ():
                tx.execute(
                    """INSERT OR IGNORE INTO pages SELECT collection_id, ?, id, ?, ?, ? FROM documents WHERE id = ?""",
                    (
                        page.url, page.etag, page.last_modified, page.fetched_at,
                        document_id(shelf.name, page.sha256),
                    ),
                )  # fmt: skip
        records = CalibrationRecords(self._catalog.database, time.time)
        with closing(_lines(file, CALIBRATIONS, Calibration)) as calibrations:
            for calibration in calibrations if CALIBRATIONS in members else ():
                records.adopt(shelf.id, calibration)

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
            raise _damaged(f"the original of {document.name} is not what it was")
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
            raise _damaged(f"{CHUNKS} has fewer lines than {DOCUMENTS} says")
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


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive; whatever is wrong inside it is a BadRequest."""
    try:
        with zipfile.ZipFile(path) as file:
            yield file
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError) as error:
        raise _damaged(str(error)) from error


def _manifest(file: zipfile.ZipFile) -> Manifest:
    try:
        info = file.getinfo(MANIFEST)
        if info.file_size > MAX_MANIFEST_BYTES:
            raise _damaged(f"{MANIFEST} is too large")
        given = json.loads(file.read(info))
    except (KeyError, ValueError) as error:
        raise BadRequest(f"the file is no exported collection: {error}", help="ragq export writes one") from error
    if isinstance(given, dict) and isinstance(given.get("version"), int) and given["version"] > VERSION:
        raise BadRequest(
            f"the file has version {given['version']} of its format; this ragq knows {VERSION}",
            help="a newer ragq wrote it: update",
        )
    if not isinstance(given, dict) or given.get("format") != FORMAT:
        raise BadRequest("the file is no exported collection", help="ragq export writes one")
    return _record(Manifest, file.read(info), MANIFEST)


def _lines(file: zipfile.ZipFile, name: str, cls: type[R]) -> Generator[R, None, None]:
    with _member(file, name) as lines:
        number = 0
        while line := lines.readline(MAX_LINE_BYTES):
            number += 1
            yield _record(cls, line, f"{name}:{number}")


def _record(cls: type[R], raw: bytes, place: str) -> R:
    try:
        return read(cls, json.loads(raw), place)
    except ValueError as error:
        raise _damaged(f"{place} is not JSON: {error}") from error
    except BadRequest as error:
        raise _damaged(error.message) from error


def _rows(file: zipfile.ZipFile, manifest: Manifest) -> Generator[bytes, None, None]:
    """The vectors one by one; none when they are not to be taken over."""
    if not manifest.num_vectors:
        return
    width = 4 * manifest.dimension
    if manifest.num_vectors != manifest.num_chunks or not 0 < manifest.dimension <= 1 << 16:
        raise _damaged(f"{manifest.num_vectors} vectors of {manifest.dimension} for {manifest.num_chunks} chunks")
    with _member(file, VECTORS) as raw:
        for _ in range(manifest.num_vectors):
            yield _vector(raw, width)


def _vector(raw: IO[bytes], width: int) -> bytes:
    row = raw.read(width)
    if len(row) != width or not np.isfinite(np.frombuffer(row, "<f4")).all():
        raise _damaged(f"{VECTORS} is cut off, or holds what is no number")
    return row


def _member(file: zipfile.ZipFile, name: str) -> IO[bytes]:
    try:
        return file.open(name)
    except KeyError as error:
        raise _damaged(f"it lacks {name}") from error


def _damaged(what: str) -> BadRequest:
    return BadRequest(f"the exported collection is damaged: {what}", help="export it again, or copy the file again")
