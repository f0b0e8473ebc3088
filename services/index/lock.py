"""Which process owns a directory: exactly one, readers included."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

from clients.errors import BackendError

NAME = "owner.lock"


class Locked(BackendError):
    """Another process owns the directory."""

    reason = "LOCKED"


class DirectoryLock:
    """A lock file that the operating system frees when its process ends, however it ends."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Own the directory; Locked names the process that does."""
        self._directory.mkdir(parents=True, exist_ok=True)
        file = (self._directory / NAME).open("a+", encoding="ascii")
        try:
            _lock(file)
        except OSError as error:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            file.close()
            raise Locked(
                f"the data directory {self._directory} is in use by process {owner}",
                help="two owners lose vectors: stop that process, or give this one another --data-dir",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Give the directory up."""
        if self._file is not None:
            self._file.close()
            self._file = None


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[str]) -> None:
        # Beyond the text, so that others can read who owns it.
        file.seek(1 << 20)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
else:
    import fcntl

    def _lock(file: IO[str]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
