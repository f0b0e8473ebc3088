"""How does one page of a job become a document, or the reason why it does not?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from clients.errors import RagqError
from clients.wire import Clock
from services.index.catalog import Catalog
from services.index.documents import Incoming
from services.index.items import Source
from services.index.jobs import OpenJob
from services.index.originals import Originals
from services.index.publishing import Publisher
from services.index.versions import Held, Validators

from .content import content
from .fetching import Fetched
from .opening import Opener
from .patience import patiently


class Taking:
    """Takes pages in.

    Args:
        opener: fetches.
        tries: how often a page is asked for when it does not come.
        wait: sleeps for seconds; True when the service ends.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        catalog: Catalog,
        originals: Originals,
        publisher: Publisher,
        opener: Opener,
        tries: int,
        wait: Callable[[float], bool],
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._originals = originals
        self._publisher = publisher
        self._opener = opener
        self._tries = tries
        self._wait = wait
        self._clock = clock

    def take(self, job: OpenJob, source: Source) -> None:
        """Fetch a page and queue it; what cannot be had counts as failed in the job, with the reason."""
        held = self._catalog.versions.held(job.collection_id, source.url)
        validators = held.validators if held else None

        def fetch() -> Fetched:
            return self._opener.fetch(source.url, validators)

        def rest(seconds: float) -> bool:
            return self._wait(seconds) or not self._catalog.jobs.is_open(job.id)

        try:
            fetched = patiently(fetch, self._tries, rest)
            new, raw = self._content(source.url, fetched, held)
        except RagqError as error:
            self._catalog.items.fail(source.key, error.message, error.help)
        else:
            self._keep(job, source, new, raw, fetched.validators)

    def _content(self, url: str, fetched: Fetched, held: Held | None) -> tuple[Incoming, bytes]:
        now = self._clock()
        if fetched.body is None:
            assert held is not None, "servers are asked about versions that are held"
            return replace(held.document, fetched_at=now), self._originals.read(held.document.sha256)
        page = content(fetched.url, fetched.content_type, fetched.body)
        return Incoming(page.name, page.media_type, "", len(page.raw), url, now), page.raw

    def _keep(self, job: OpenJob, source: Source, new: Incoming, raw: bytes, version: Validators) -> None:
        with self._catalog.database.write() as tx:
            if not self._catalog.items.is_wanted(tx, source.key):
                return  # cancelled while the page was on its way
            new = replace(new, sha256=self._originals.keep(tx, raw))
            id_ = self._catalog.jobs.add(tx, job, new, source.key)
            gone = self._catalog.versions.record(tx, job.collection_id, id_, new, version)
        if gone:
            self._publisher.sweep()
            self._originals.forget(gone)
