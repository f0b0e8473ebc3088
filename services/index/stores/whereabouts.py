"""Where does the server of the vectors listen that this machine runs itself? A file says it, as long as it does."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from clients.errors import StoreAway

CURE = "it is started again within seconds; 'ragq logs store' tells more"


@dataclass(frozen=True, slots=True)
class Place:
    """A server that listens on this machine only."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"


class Whereabouts:
    """The file; it is written when the server answers, and taken away when it ends.

    A server that was killed leaves its file behind, so a place without its process is none.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / "run" / "chroma.json"

    def url(self) -> str:
        """The server's address; StoreAway when it does not run."""
        place = self.read()
        if place is None or not _runs(place.pid):
            raise StoreAway("the vector store's server does not run at the moment", help=CURE)
        return place.url

    def read(self) -> Place | None:
        """What the file says; None without one."""
        try:
            return Place(**json.loads(self._path.read_text(encoding="ascii")))
        except (OSError, ValueError, TypeError):
            return None

    @contextmanager
    def told(self) -> Iterator[None]:
        """Take the file away at the end of the ``with`` statement."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield
        finally:
            self._path.unlink(missing_ok=True)

    def write(self, place: Place) -> None:
        """Say where the server listens; nobody ever reads half of it."""
        part = self._path.with_suffix(f".{place.pid}")
        part.write_text(json.dumps(asdict(place)), encoding="ascii")
        part.replace(self._path)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
