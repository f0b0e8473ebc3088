"""Handlers that fetch pages and search the web."""

from __future__ import annotations

from clients import index as contract
from clients import web
from clients.errors import BadRequest
from services.index.web.providers import provider
from services.service import Call, serves

from .adding import AddingHandlers

MAX_URLS = 10_000
MAX_QUERY_CHARS = 500


class WebHandlers(AddingHandlers):
    """Pages by their addresses; web search."""

    @serves(web.ADD_URLS)
    def add_urls(self, request: web.AddUrls, _call: Call) -> contract.JobRecord:
        """Queue web pages; they are fetched when their turn comes."""
        if not 1 <= len(request.urls) <= MAX_URLS:
            raise BadRequest(f"urls: 1 to {MAX_URLS} can be added in one job, not {len(request.urls)}")
        urls = dict.fromkeys(self._parts.opener.check(url) for url in request.urls)
        shelf = self._shelf(request.collection, request.chunking)
        with self._parts.database.write() as tx:
            job = self._catalog.jobs.open(tx, shelf.id, shelf.name, request.chunking, "web")
            for url in urls:
                self._catalog.items.add_page(tx, job.id, url)
        self._parts.gatherer.wake()
        return self._queued(job)

    @serves(web.WEB_SEARCH)
    def web_search(self, request: web.WebSearch, call: Call) -> web.WebResults:
        """Ask the provider."""
        if not request.query.strip() or len(request.query) > MAX_QUERY_CHARS:
            raise BadRequest(f"query: 1 to {MAX_QUERY_CHARS} characters")
        if not 1 <= request.count <= web.MAX_RESULTS:
            raise BadRequest(f"count: 1 to {web.MAX_RESULTS}")
        asked = provider(self.config.index.web, self._parts.opener)
        timeout_s = min(self.config.index.web.timeout_s, 0.8 * call.remaining_s)
        return web.WebResults(asked.search(request.query, request.count, timeout_s), asked.name)
