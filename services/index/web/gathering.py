"""The thread that fetches the pages of ingest jobs, so that no other document waits for a slow server."""

from __future__ import annotations

from collections.abc import Callable

from clients.wire import Clock
from services.index.catalog import Catalog
from services.index.labour import Labour, Rest

from .taking import Taking


class Gatherer(Labour):
    """Fetches, a page of each job in turn; what it brings waits on record for the ingest.

    Args:
        catalog: knows whose pages are to be fetched.
        taking: fetches one.
        rest: of this thread.
        wake: tells the ingest that there is work.
        clock: seconds that only grow.
    """

    def __init__(self, catalog: Catalog, taking: Taking, rest: Rest, wake: Callable[[], None], clock: Clock) -> None:
        self._catalog = catalog
        self._taking = taking
        self._tell = wake
        self._clock = clock
        super().__init__("gatherer", rest)

    def turn(self) -> bool:
        """One page of every unfinished job; False when there is none left."""
        worked = False
        for job in self._catalog.jobs.unfinished():
            source = None if self._rest.is_over else self._catalog.items.next_page(job.id)
            if source is None:
                continue
            started = self._clock()
            self._catalog.jobs.note(job.id, "fetching", source.name)
            self._taking.take(job, source)
            self._catalog.jobs.worked(job.id, self._clock() - started)
            self._catalog.jobs.finish(job.id)
            self._tell()
            worked = True
        return worked
