"""How directories of the service's disk are followed: what is new, changed or gone there is so in a collection."""

from __future__ import annotations

from dataclasses import dataclass, field

from .client import Client
from .ingest import Chunking
from .wire import Nothing, unary


@dataclass(frozen=True, slots=True)
class WatchFolder:
    """A file or directory to follow, below ``index.roots``.

    Attributes:
        removes: delete the documents of files that are deleted; otherwise they stay.
    """

    collection: str
    path: str
    removes: bool = False
    chunking: Chunking = field(default_factory=Chunking)


@dataclass(frozen=True, slots=True)
class Watch:
    """A directory that is followed.

    Attributes:
        num_files: how many files were taken over, or refused with a reason.
        num_waiting: files that changed and are still growing, or whose turn has not come.
        checked_at: when it was looked at last, seconds since 1970; 0 before the first time.
        reason: why it cannot be looked at now; empty when it can.
    """

    id: int
    collection: str
    path: str
    removes: bool
    num_files: int = 0
    num_waiting: int = 0
    checked_at: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Watches:
    """All that are followed."""

    watches: list[Watch]


@dataclass(frozen=True, slots=True)
class WatchId:
    """Names one."""

    id: int


WATCH = unary("index.watch", WatchFolder, Watch)
UNWATCH = unary("index.unwatch", WatchId, Nothing)
WATCHES = unary("index.watches", Nothing, Watches)
METHODS = (WATCH, UNWATCH, WATCHES)


class Watching:
    """The part of the Index service's client that has directories followed."""

    _client: Client

    def watch(self, collection: str, path: str, *, removes: bool = False, chunking: Chunking | None = None) -> Watch:
        """Follow a file or directory of the service's disk from now on, over restarts; its files are added at once.

        A file is taken over when it has stopped growing. One that changed takes the place of what it was as soon as it
        is ready. The same path again changes how it is followed.

        Raises:
            Forbidden: the path is not below ``index.roots``.
            NotFound: there is nothing at the path.
        """
        return self._client.call(WATCH, WatchFolder(collection, path, removes, chunking or Chunking()))

    def unwatch(self, watch_id: int) -> None:
        """Follow a directory no longer; what came from it stays.

        Raises:
            NotFound: no such watch.
        """
        self._client.call(UNWATCH, WatchId(watch_id))

    def watches(self) -> list[Watch]:
        """What is followed, and how far it is."""
        return self._client.call(WATCHES, Nothing()).watches
