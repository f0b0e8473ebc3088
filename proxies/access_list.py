"""Which rights hold now: the list of those who may come, read again when its file changes."""

from __future__ import annotations

import logging
from pathlib import Path

from clients.allowed import read_allowed
from clients.errors import ConfigError
from proxies.access import Access

LOOK_S = 1.0
Mark = tuple[int, int, int]
log = logging.getLogger("ragq.proxy")


class AccessList:
    """The list in a file.

    Attributes:
        access: what it says, or said before somebody broke it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = _mark(path)
        self._looked_at = float("-inf")
        self.access = Access(read_allowed(path))

    def look_again(self) -> None:
        """Let the next ``refresh`` look at the file at once, and read it; safe in a signal handler."""
        self._looked_at = float("-inf")
        self._seen = None

    def refresh(self, now: float) -> bool:
        """Read the file if it has changed; whether other rights hold from now on. Looks at most once a second."""
        if now - self._looked_at < LOOK_S:
            return False
        self._looked_at = now
        return self.is_newer()

    def is_newer(self) -> bool:
        """Read the file if it has changed, without waiting for the next second to begin."""
        if (mark := _mark(self._path)) == self._seen:
            return False
        self._seen = mark
        return self._read()

    def _read(self) -> bool:
        try:
            members = read_allowed(self._path)
        except ConfigError as error:
            log.error("the list of keys stays as it was: %s", error.message)
            return False
        self.access = Access(members)
        log.info("read %s: %d keys hold", self._path, sum(not member.revoked for member in members))
        return True


def _mark(path: Path) -> Mark | None:
    """What changes when a file does, also within the clock's grain: a list is replaced as a whole."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
