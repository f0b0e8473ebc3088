"""Where do the records live: one SQLite file with one writer and any number of readers."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clients.errors import BackendError

from .content import entry_id
from .triggers import NUMBERED

BUSY_TIMEOUT_S = 30.0
FIRST = """
CREATE TABLE collections (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, title TEXT NOT NULL,
    model TEXT NOT NULL DEFAULT '', dimension INTEGER NOT NULL DEFAULT 0, created_at REAL NOT NULL);
CREATE TABLE documents (
    id TEXT PRIMARY KEY, collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
    name TEXT NOT NULL, media_type TEXT NOT NULL, sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    status TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', fix TEXT NOT NULL DEFAULT '',
    language TEXT NOT NULL DEFAULT '', num_chunks INTEGER NOT NULL DEFAULT 0,
    num_embedded INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL, overlap INTEGER NOT NULL,
    by_line INTEGER NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL);
CREATE INDEX documents_of_collection ON documents(collection_id, status);
CREATE INDEX documents_of_content ON documents(sha256);
CREATE TABLE chunks (
    key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
    document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE, position INTEGER NOT NULL,
    text TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL, page INTEGER NOT NULL,
    heading TEXT NOT NULL, UNIQUE (document_id, position));
CREATE TABLE vectors (
    chunk_key INTEGER PRIMARY KEY REFERENCES chunks(key) ON DELETE CASCADE, vector BLOB NOT NULL);
CREATE TABLE originals (sha256 TEXT PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE stale_chunks (collection_id INTEGER NOT NULL, chunk_id TEXT NOT NULL,
    PRIMARY KEY (collection_id, chunk_id)) WITHOUT ROWID;
CREATE TABLE stale_collections (collection_id INTEGER PRIMARY KEY);
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, collection_id INTEGER NOT NULL,
    collection TEXT NOT NULL, status TEXT NOT NULL, size INTEGER NOT NULL, overlap INTEGER NOT NULL,
    by_line INTEGER NOT NULL, unchanged INTEGER NOT NULL DEFAULT 0, stage TEXT NOT NULL DEFAULT '',
    document TEXT NOT NULL DEFAULT '', elapsed_s REAL NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL, updated_at REAL NOT NULL);
CREATE INDEX jobs_by_status ON jobs(status);
CREATE TABLE job_items (
    key INTEGER PRIMARY KEY, job_id TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE,
    document_id TEXT NOT NULL DEFAULT '', path TEXT NOT NULL DEFAULT '', name TEXT NOT NULL,
    size_bytes INTEGER NOT NULL, outcome TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',
    fix TEXT NOT NULL DEFAULT '', num_chunks INTEGER NOT NULL DEFAULT 0);
CREATE INDEX items_of_job ON job_items(job_id, outcome);
CREATE INDEX items_of_document ON job_items(document_id, outcome);
CREATE TABLE turns (
    key INTEGER PRIMARY KEY, chat_id TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL,
    collection TEXT NOT NULL, created_at REAL NOT NULL, detail TEXT NOT NULL);
CREATE INDEX turns_of_chat ON turns(chat_id, key);
"""
# Chunks that a person changed: the text as it was cut, and the ids that they had before.
EDITS = """
ALTER TABLE chunks ADD COLUMN is_enabled INTEGER NOT NULL DEFAULT 1;
ALTER TABLE chunks ADD COLUMN as_cut TEXT;
CREATE TABLE former_chunks (
    id TEXT PRIMARY KEY, chunk_key INTEGER NOT NULL REFERENCES chunks(key) ON DELETE CASCADE) WITHOUT ROWID;
CREATE INDEX former_of_chunk ON former_chunks(chunk_key);
"""
# The stores hold each distinct content once: what they held by the ids of chunks is written anew.
SHARED = """
ALTER TABLE chunks ADD COLUMN entry TEXT NOT NULL DEFAULT '';
UPDATE chunks SET entry = entry_id(text, heading);
CREATE INDEX chunks_of_entry ON chunks(entry);
DROP TABLE stale_chunks;
CREATE TABLE stale_entries (collection_id INTEGER NOT NULL, entry TEXT NOT NULL,
    PRIMARY KEY (collection_id, entry)) WITHOUT ROWID;
"""
# What ragq calibrate fitted to a collection, for the models that it was fitted for.
FITTED = """
CREATE TABLE calibrations (
    collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE, embedder TEXT NOT NULL,
    reranker TEXT NOT NULL, revision TEXT NOT NULL, detail TEXT NOT NULL, created_at REAL NOT NULL,
    PRIMARY KEY (collection_id, embedder, reranker, revision)) WITHOUT ROWID;
"""
# Web pages: where a document came from, and which versions of a page there are.
PAGES = """
ALTER TABLE documents ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN fetched_at REAL NOT NULL DEFAULT 0;
ALTER TABLE job_items ADD COLUMN url TEXT NOT NULL DEFAULT '';
CREATE TABLE pages (
    collection_id INTEGER NOT NULL, url TEXT NOT NULL,
    document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    etag TEXT NOT NULL, last_modified TEXT NOT NULL, fetched_at REAL NOT NULL,
    PRIMARY KEY (collection_id, url, document_id)) WITHOUT ROWID;
CREATE INDEX pages_of_document ON pages(document_id);
"""
# How a document is cut beside its size: by sentences, paragraphs or cells.
STRATEGIES = """
ALTER TABLE documents ADD COLUMN strategy TEXT NOT NULL DEFAULT 'sentences';
ALTER TABLE jobs ADD COLUMN strategy TEXT NOT NULL DEFAULT 'sentences';
"""
# Test sets: questions with what answers them, and how runs over them came out; they outlive their collection.
MEASURES = """
CREATE TABLE testsets (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, collection TEXT NOT NULL,
    created_at REAL NOT NULL, updated_at REAL NOT NULL);
CREATE TABLE questions (
    key INTEGER PRIMARY KEY AUTOINCREMENT, testset_id INTEGER NOT NULL REFERENCES testsets(id) ON DELETE CASCADE,
    text TEXT NOT NULL, detail TEXT NOT NULL, UNIQUE (testset_id, text));
CREATE TABLE runs (
    key INTEGER PRIMARY KEY AUTOINCREMENT, testset_id INTEGER NOT NULL REFERENCES testsets(id) ON DELETE CASCADE,
    detail TEXT NOT NULL, created_at REAL NOT NULL);
CREATE INDEX runs_of_testset ON runs(testset_id, key);
"""
# A re-index makes the vectors of the next generation beside the present ones.
GENERATIONS = """
ALTER TABLE collections ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN model TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN num_embedded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE vectors RENAME TO vectors_by_chunk;
CREATE TABLE vectors (
    chunk_key INTEGER NOT NULL REFERENCES chunks(key) ON DELETE CASCADE, generation INTEGER NOT NULL,
    vector BLOB NOT NULL, PRIMARY KEY (chunk_key, generation));
INSERT INTO vectors SELECT chunk_key, 0, vector FROM vectors_by_chunk ORDER BY chunk_key;
DROP TABLE vectors_by_chunk;
CREATE TABLE shadows (
    collection_id INTEGER PRIMARY KEY REFERENCES collections(id) ON DELETE CASCADE, generation INTEGER NOT NULL,
    model TEXT NOT NULL, dimension INTEGER NOT NULL, job_id TEXT NOT NULL);
CREATE TABLE stale_generations (
    collection_id INTEGER NOT NULL, generation INTEGER NOT NULL, is_in_store INTEGER NOT NULL,
    PRIMARY KEY (collection_id, generation)) WITHOUT ROWID;
INSERT INTO stale_generations SELECT collection_id, 0, 1 FROM stale_collections;
DROP TABLE stale_collections;
"""
# Pages that are pictures: what text recognition read on them.
SCANS = """
CREATE TABLE scans (
    sha256 TEXT NOT NULL, page INTEGER NOT NULL, lines TEXT NOT NULL, PRIMARY KEY (sha256, page)) WITHOUT ROWID;
"""
# Chunks that are found for the section around them.
FAMILIES = """
ALTER TABLE chunks ADD COLUMN parent INTEGER NOT NULL DEFAULT -1;
CREATE INDEX chunks_of_parent ON chunks(document_id, parent) WHERE parent >= 0;
"""
# Documents that a process was busy with: what is left of one that died.
TRIED = """
CREATE TABLE attempts (
    document_id TEXT PRIMARY KEY REFERENCES documents(id) ON DELETE CASCADE, tries INTEGER NOT NULL) WITHOUT ROWID;
"""
# Directories that are followed, and the files in them as they were taken over.
FOLLOWED = """
CREATE TABLE watches (
    id INTEGER PRIMARY KEY AUTOINCREMENT, collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
    path TEXT NOT NULL, removes INTEGER NOT NULL, size INTEGER NOT NULL, overlap INTEGER NOT NULL,
    by_line INTEGER NOT NULL, strategy TEXT NOT NULL, num_waiting INTEGER NOT NULL DEFAULT 0,
    checked_at REAL NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '', created_at REAL NOT NULL,
    UNIQUE (collection_id, path));
CREATE TABLE watched_files (
    watch_id INTEGER NOT NULL REFERENCES watches(id) ON DELETE CASCADE, path TEXT NOT NULL,
    mtime_ns INTEGER NOT NULL, size_bytes INTEGER NOT NULL, document_id TEXT NOT NULL, is_own INTEGER NOT NULL,
    former TEXT NOT NULL, PRIMARY KEY (watch_id, path)) WITHOUT ROWID;
CREATE INDEX watched_documents ON watched_files(document_id);
"""
MIGRATIONS = (
    FIRST,
    EDITS,
    SHARED,
    FITTED,
    PAGES,
    STRATEGIES,
    MEASURES,
    GENERATIONS,
    SCANS,
    NUMBERED,
    FAMILIES,
    TRIED,
    FOLLOWED,
)
log = logging.getLogger(__name__)


class OlderSchema(BackendError):
    """The records have not been brought to the present schema."""


class Database:
    """The SQLite file: `write` for one transaction at a time, `read` for this thread's own view.

    Args:
        path: the file.
        is_owner: this process may bring it to the present schema; one that only reads waits for the owner to do so.

    Raises:
        BackendError: the file is damaged, or a newer ragq wrote it.
        OlderSchema: it is not the owner, and the owner has something to do first.
    """

    def __init__(self, path: Path, *, is_owner: bool = True) -> None:
        self.path = path
        self._is_owner = is_owner
        self._lock = threading.RLock()
        self._depth = 0
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        if not is_owner and not _is_in_wal_mode(path):
            raise OlderSchema(f"there are no records at {path} yet")
        try:
            self._writer = self._connect()
            self._migrate()
            if not is_owner:
                self._writer.execute("PRAGMA query_only = ON")
        except sqlite3.DatabaseError as error:
            self.close()
            raise BackendError(
                f"the records at {path} cannot be opened: {error}",
                help="restore the file from a backup, or move it away to start empty",
            ) from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        self._open.append(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        # FULL: an answered "added" must survive a power cut, and writes come in batches anyway.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def _migrate(self) -> None:
        version = int(self._writer.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            self.close()
            raise BackendError(
                f"the records at {self.path} have schema {version}; this ragq knows schemas up to {len(MIGRATIONS)}",
                help="a newer ragq wrote them: install that version, or use another data directory",
            )
        if not self._is_owner and version < len(MIGRATIONS):
            self.close()
            raise OlderSchema(f"the records at {self.path} have schema {version} of {len(MIGRATIONS)}")
        self._writer.create_function("entry_id", 2, entry_id, deterministic=True)
        if 0 < version < len(MIGRATIONS):
            log.warning("the records at %s are brought to schema %d, once", self.path, len(MIGRATIONS))
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            self._writer.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is kept, or nothing when the block raises."""
        with self._lock:
            if self._depth:
                yield self._writer
                return
            self._writer.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            finally:
                self._depth = 0
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")

    def read(self) -> sqlite3.Connection:
        """This thread's connection for reading; it sees what was committed."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
            self._local.connection = connection
        return connection

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """One moment of the records for all that this thread reads within the ``with`` statement."""
        connection = self.read()
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close every connection, the other threads' too."""
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()


def _is_in_wal_mode(path: Path) -> bool:
    """Whether the owner has made the file and set its mode, which nobody may disturb; byte 18 of the header says it."""
    try:
        with path.open("rb") as file:
            return file.read(19)[18:] == b"\x02"
    except FileNotFoundError:
        return False
