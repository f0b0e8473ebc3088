"""Where do the original bytes live: small ones in the records, large ones as files named by their digest."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from clients.errors import BackendError, BadRequest, NotFound, TooLarge
from clients.index import UPLOAD_PART_BYTES, UploadPart

from .scans import forget_scans
from .schema import Database

INLINE_BYTES = 128 << 10
DIGEST_LENGTH = 64
YOUNG_S = 3600.0
ABANDONED_S = 7 * 24 * 3600.0


class Originals:
    """Contents by their sha256; the same content is kept once.

    Thousands of small texts would be thousands of files to sync, so contents up to 128 KiB are rows.
    """

    def __init__(self, database: Database, directory: Path) -> None:
        self._database = database
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def keep(self, tx: sqlite3.Connection, content: bytes) -> str:
        """Keep a content; its sha256, hexadecimal."""
        sha256 = hashlib.sha256(content).hexdigest()
        if len(content) <= INLINE_BYTES:
            tx.execute("INSERT OR IGNORE INTO originals VALUES (?, ?)", (sha256, content))
        elif not self.path(sha256).exists():
            part = self.path(sha256).with_suffix(".part")
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path(sha256))
        return sha256

    def read(self, sha256: str) -> bytes:
        """The content of a digest.

        Raises:
            BackendError: it is gone or is not what it was.
        """
        row = self._database.read().execute("SELECT content FROM originals WHERE sha256 = ?", (sha256,)).fetchone()
        try:
            content = bytes(row[0]) if row else self.path(sha256).read_bytes()
        except OSError as error:
            raise BackendError(f"the original bytes are gone: {error}", help="add the document again") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise BackendError("the original bytes on disk are damaged", help="add the document again")
        return content

    def has(self, sha256: str) -> bool:
        """Whether this content is kept."""
        row = self._database.read().execute("SELECT 1 FROM originals WHERE sha256 = ?", (sha256,)).fetchone()
        return row is not None or self.path(sha256).exists()

    def forget(self, digests: Sequence[str]) -> None:
        """Let go of contents that no document has any more."""
        with self._database.write() as tx:
            for sha256 in digests:
                if tx.execute("SELECT 1 FROM documents WHERE sha256 = ? LIMIT 1", (sha256,)).fetchone() is None:
                    tx.execute("DELETE FROM originals WHERE sha256 = ?", (sha256,))
                    forget_scans(tx, sha256)
                    self.path(sha256).unlink(missing_ok=True)

    def surplus(self) -> list[str]:
        """Digests of contents that no document has, and that did not come in just now."""
        rows = self._database.read().execute(
            "SELECT sha256 FROM originals WHERE sha256 NOT IN (SELECT sha256 FROM documents)"
        )
        inline = [row[0] for row in rows]
        files = [path for path in self._directory.iterdir() if path.is_file() and len(path.name) == DIGEST_LENGTH]
        return inline + [path.name for path in files if not self._is_wanted(path)]

    def _is_wanted(self, path: Path) -> bool:
        """A file is written before its document's record, so a young one may belong to one that is coming."""
        row = self._database.read().execute("SELECT 1 FROM documents WHERE sha256 = ? LIMIT 1", (path.name,)).fetchone()
        return row is not None or time.time() - path.stat().st_mtime < YOUNG_S

    def path(self, sha256: str) -> Path:
        """Where a large content lies."""
        return self._directory / sha256


class Uploads:
    """Files on their way in, part by part; what arrived survives a restart."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        directory.mkdir(parents=True, exist_ok=True)

    def write(self, part: UploadPart) -> int:
        """Append a part; how many bytes are there now.

        A part that is there already changes nothing, one that would leave a gap is not taken: the
        reply tells the caller where to go on.

        Raises:
            BadRequest: the id is no digest, or the sizes do not fit.
            TooLarge: above ``index.max_file_mb``.
        """
        path = self._path(part.upload_id)
        self._check(part)
        with self._lock:
            held = self._append(path, part)
            if held == part.total and _digest(path) != part.upload_id:
                path.unlink()
                raise BadRequest(
                    "the bytes that arrived do not have the digest of the upload", help="send the file again"
                )
        return held

    def _append(self, path: Path, part: UploadPart) -> int:
        held = path.stat().st_size if path.exists() else 0
        if held > part.total:
            path.unlink()
            held = 0
        if not part.offset <= held:
            return held
        with path.open("ab") as file:
            file.write(part.data[held - part.offset :])
        return max(held, part.offset + len(part.data))

    def _check(self, part: UploadPart) -> None:
        if part.total > self._max_bytes:
            raise TooLarge(
                f"a file of {part.total >> 20} MB; the limit is {self._max_bytes >> 20} MB",
                help="split the file, or raise index.max_file_mb",
            )
        if part.offset < 0 or len(part.data) > UPLOAD_PART_BYTES or part.offset + len(part.data) > part.total:
            raise BadRequest(
                f"a part of {len(part.data)} bytes at {part.offset} does not fit an upload of {part.total}"
            )

    def read(self, upload_id: str, name: str) -> bytes:
        """The whole content.

        Raises:
            NotFound: no part of it ever came.
            BadRequest: it is not complete.
        """
        path = self._path(upload_id)
        if not path.exists():
            raise NotFound(f"there is no upload for {name}", help="send its parts first")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != upload_id:
            raise BadRequest(
                f"the upload of {name} is not complete: {len(content)} bytes came", help="send the missing parts"
            )
        return content

    def drop(self, upload_id: str) -> None:
        """Forget an upload."""
        self._path(upload_id).unlink(missing_ok=True)

    def sweep(self, now: float) -> None:
        """Forget uploads that nobody continued for a week; ``now`` in seconds since 1970."""
        limit = now - ABANDONED_S
        for path in self._directory.iterdir():
            if path.stat().st_mtime < limit:
                path.unlink(missing_ok=True)

    def _path(self, upload_id: str) -> Path:
        if len(upload_id) != DIGEST_LENGTH or not set(upload_id) <= set("0123456789abcdef"):
            raise BadRequest("upload_id is the sha256 of the content, 64 hexadecimal digits")
        return self._directory / upload_id


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
