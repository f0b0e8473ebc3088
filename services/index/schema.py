"""Where do the records live: one SQLite file with one writer and any number of readers."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from clients.errors import BackendError

from .content import entry_id
from .migrations import MIGRATIONS

BUSY_TIMEOUT_S = 30.0
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
            # A set of thousands of ids would take ten milliseconds on its way into each query.
            connection.create_function("is_within", 1, self._is_within)
            self._local.connection = connection
        return connection

    @contextmanager
    def limited(self, documents: Collection[str]) -> Iterator[sqlite3.Connection]:
        """This thread's connection for reading, where ``is_within(id)`` says whether a document is one of these."""
        connection = self.read()
        self._local.documents = documents
        try:
            yield connection
        finally:
            self._local.documents = ()

    def _is_within(self, id_: str) -> bool:
        return id_ in self._local.documents

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
