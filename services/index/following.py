"""The thread that follows directories: it looks what has changed there, and has stopped changing."""

from __future__ import annotations

from collections.abc import Callable

from clients.config import Index
from clients.errors import RagqError
from clients.wire import Clock

from .intake import Listed, listed
from .labour import Labour, Rest
from .takeover import Look, Seen, Takeover
from .watches import Followed, Known, WatchRecords

# Looking costs at most a twentieth of a core, however many files there are.
REST_TIMES = 20
MAX_TAKEN = 256
MIN_REST_S = 0.2
GONE: Look = (0, -1)


class Follower(Labour):
    """Looks at the directories that are followed, again and again.

    A file is taken when two looks, ``index.watch_s`` apart, find it with the same time and size; one that is missing is
    gone when two looks miss it. A directory that cannot be looked at, or that is empty, changes nothing: a disk that is
    not mounted is no reason to forget its documents.

    Args:
        records: what is followed.
        takeover: takes files over.
        settings: below which directories anything may be followed, and how often it is looked at.
        rest: of this thread.
        wake: tells the ingest that there is work.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        records: WatchRecords,
        takeover: Takeover,
        settings: Index,
        rest: Rest,
        wake: Callable[[], None],
        clock: Clock,
    ) -> None:
        self.records = records
        self._takeover = takeover
        self._settings = settings
        self._tell = wake
        self._clock = clock
        self._next: dict[int, float] = {}
        self._before: dict[int, dict[str, Look]] = {}
        super().__init__("follower", rest)

    def turn(self) -> bool:
        """Look at every directory whose time has come, and sleep until the next one's."""
        followed = self.records.all()
        for one in followed:
            if not self._rest.is_over and self._clock() >= self._next.get(one.id, 0.0):
                self._look(one)
        if followed and not self._rest.is_over:
            soonest = min(self._next.get(one.id, 0.0) for one in followed)
            self._rest.until_work(max(MIN_REST_S, soonest - self._clock()))
        return bool(followed)

    def soon(self) -> None:
        """Look at everything now."""
        self._next.clear()
        self.wake()

    def _look(self, followed: Followed) -> None:
        started = self._clock()
        try:
            num_waiting, reason = self._follow(followed), ""
        except RagqError as error:
            num_waiting, reason = 0, error.message
        except OSError as error:
            num_waiting, reason = 0, f"it cannot be read: {error.strerror}"
        self.records.looked(followed.id, num_waiting, reason)
        took = self._clock() - started
        self._next[followed.id] = self._clock() + max(self._settings.watch_s, REST_TIMES * took)

    def _follow(self, followed: Followed) -> int:
        """Take over what changed; how many files are to be looked at again."""
        files = listed([followed.path], self._settings.roots)
        now = {seen.path: seen for seen in map(_seen, files) if seen}
        known = self.records.files(followed.id)
        before = self._before.get(followed.id, {})
        changed = [seen for path, seen in now.items() if _look_of(known.get(path)) != seen.look]
        gone = [path for path in known if path not in now]
        self._before[followed.id] = {seen.path: seen.look for seen in changed} | dict.fromkeys(gone, GONE)
        still = [seen for seen in changed if before.get(seen.path) == seen.look][:MAX_TAKEN]
        if still:
            self._takeover.take(followed, still, known)
            self._tell()
        self._takeover.clear(followed, [known[path] for path in gone if before.get(path) == GONE])
        return len(changed) - len(still)


def _seen(file: Listed) -> Seen | None:
    try:
        state = file.path.stat()
    except OSError:
        return None  # it went away while the directory was read
    return Seen(file, (state.st_mtime_ns, state.st_size))


def _look_of(known: Known | None) -> Look | None:
    return None if known is None else (known.mtime_ns, known.size_bytes)
