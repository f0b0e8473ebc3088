"""The thread that fetches the pages of ingest jobs, so that no other document waits for a slow server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from clients.wire import Clock
from services.index.catalog import Catalog
from services.index.ingest import IDLE_S, MAX_REST_S, Rest

from .taking import Taking

log = logging.getLogger(__name__)


class Gatherer:
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
        self._rest = rest
        self._wake = wake
        self._clock = clock
        self._thread = threading.Thread(target=self._run, name="gatherer", daemon=True)

    def start(self) -> None:
        """Take up what a process before this one left, and go on."""
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """End after the page that is on its way; one that takes longer is fetched again at the next start."""
        self._rest.stop()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def wake(self) -> None:
        """There is work."""
        self._rest.wake()

    def _run(self) -> None:
        rest_s = 1.0
        while not self._rest.is_over:
            try:
                self._rest.forget()
                if not self.turn():
                    self._rest.until_work(IDLE_S)
                rest_s = 1.0
            except Exception:  # the thread outlives everything; a full disk, for example, may get better
                if self._has_ended():
                    return  # the records were closed while the last page was on its way
                log.exception("the gatherer met an error and goes on in %.0f s", rest_s)
                self._rest.wait(rest_s)
                rest_s = min(MAX_REST_S, 2 * rest_s)

    def _has_ended(self) -> bool:
        return self._rest.is_over

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
            self._wake()
            worked = True
        return worked
