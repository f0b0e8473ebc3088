"""Handler that has a collection embedded anew."""

from __future__ import annotations

from clients.index import JobRecord
from clients.reindexing import REINDEX, Reindex
from services.service import Call, serves

from .base import Handlers


class ReindexHandlers(Handlers):
    """Another embedding model for a collection."""

    @serves(REINDEX)
    def reindex(self, request: Reindex, call: Call) -> JobRecord:
        """Queue a re-index; the same one is queued once."""
        shelf = self._catalog.shelf(request.collection)
        job_id = self._parts.reindexer.begin(shelf, request.model, 0.9 * call.remaining_s)
        self._parts.ingest.wake()
        return self._catalog.jobs.get(job_id)
