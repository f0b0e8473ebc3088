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
        if not self.try_acquire():
            raise Locked(
                f"the data directory {self._directory} is in use by process {self.owner() or 'unknown'}",
                help="two owners lose vectors: stop that process, or give this one another --data-dir",
            )

    def try_acquire(self) -> bool:
        """Own the directory unless another process does; whether it is ours."""
        self._directory.mkdir(parents=True, exist_ok=True)
        file = (self._directory / NAME).open("a+", encoding="ascii")
        try:
            _lock(file)
        except OSError:
            file.close()
            return False
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file
        return True

    def owner(self) -> int:
        """The process that owned the directory last, and does so now if it runs; 0 before there was one."""
        try:
            return int((self._directory / NAME).read_text(encoding="ascii").strip() or 0)
        except (FileNotFoundError, ValueError):
            return 0

    def holder(self) -> int:
        """The process that owns the directory now; 0 when none does. Nobody is kept from owning it by the question."""
        try:
            file = (self._directory / NAME).open("r+", encoding="ascii")
        except FileNotFoundError:
            return 0
        with file:
            return self.owner() if _is_locked(file) else 0

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

    def _is_locked(file: IO[str]) -> bool:
        try:
            _lock(file)
        except OSError:
            return True
        return False
else:
    import fcntl

    def _lock(file: IO[str]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _is_locked(file: IO[str]) -> bool:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        return False
