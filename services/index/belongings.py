"""What goes along with a collection beside its documents: versions of web pages, fitted thresholds, test sets."""

from __future__ import annotations

import sqlite3
import time
import zipfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict

from clients.calibration import Calibration
from clients.packed import (
    CALIBRATIONS,
    DOCUMENTS,
    FIRST_VERSION,
    PAGES,
    VERSION,
    Manifest,
    PackedDocument,
    PackedPage,
)

from .archive import json_line, lines_of
from .calibrations import CalibrationRecords
from .catalog import Catalog, Shelf
from .documents import document_id
from .packed_testsets import pack_testsets, take_testsets


def pack(
    read: sqlite3.Connection, catalog: Catalog, file: zipfile.ZipFile, shelf: Shelf, *, with_testsets: bool
) -> int:
    """Write what there is into a packed collection; the version of the format that its readers have to know."""
    fitted = CalibrationRecords(catalog.database, time.time).of(shelf.id, shelf.name)
    if pages := b"".join(json_line(asdict(page)) for page in _pages(read, shelf)):
        file.writestr(PAGES, pages)
    if fitted:
        file.writestr(CALIBRATIONS, b"".join(json_line(asdict(calibration)) for calibration in fitted))
    return VERSION if with_testsets and pack_testsets(read, file, shelf.name) else FIRST_VERSION


def _pages(read: sqlite3.Connection, shelf: Shelf) -> list[PackedPage]:
    rows = read.execute(
        """SELECT d.sha256, p.url, p.etag, p.last_modified, p.fetched_at FROM pages p
        JOIN documents d ON d.id = p.document_id
        WHERE p.collection_id = ? AND d.status != 'cancelled' ORDER BY p.url, p.fetched_at""",
        (shelf.id,),
    )
    return [PackedPage(*row) for row in rows]


def take(tx: sqlite3.Connection, catalog: Catalog, file: zipfile.ZipFile, manifest: Manifest, shelf: Shelf) -> None:
    """Put what there is in a packed collection on record; the documents are there already.

    Raises:
        BadRequest: something in it is damaged, or out of bounds.
    """
    members = set(file.namelist())
    if PAGES in members:
        _take_pages(tx, file, shelf)
    if CALIBRATIONS in members:
        records = CalibrationRecords(catalog.database, time.time)
        with closing(lines_of(file, CALIBRATIONS, Calibration)) as calibrations:
            for calibration in calibrations:
                records.adopt(shelf.id, calibration)
    if manifest.version > FIRST_VERSION:
        take_testsets(tx, file, shelf.name, _moved(file, manifest, shelf))


def _take_pages(tx: sqlite3.Connection, file: zipfile.ZipFile, shelf: Shelf) -> None:
    """Versions of web pages whose documents came along."""
    with closing(lines_of(file, PAGES, PackedPage)) as pages:
        for page in pages:
            tx.execute(
                "INSERT OR IGNORE INTO pages SELECT collection_id, ?, id, ?, ?, ? FROM documents WHERE id = ?",
                (page.url, page.etag, page.last_modified, page.fetched_at, document_id(shelf.name, page.sha256)),
            )


def _moved(file: zipfile.ZipFile, manifest: Manifest, shelf: Shelf) -> Mapping[str, str]:
    """Ids of the documents by those that they had, which a collection's name takes part in."""
    with closing(lines_of(file, DOCUMENTS, PackedDocument)) as documents:
        return {
            document_id(manifest.name, document.sha256): document_id(shelf.name, document.sha256)
            for document in documents
        }
