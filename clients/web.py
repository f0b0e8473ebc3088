"""How web pages are added by their addresses, and found by a web search."""

from __future__ import annotations

from dataclasses import dataclass, field

from .client import Client
from .ingest import Chunking, JobRecord
from .wire import unary

MAX_RESULTS = 50


@dataclass(frozen=True, slots=True)
class AddUrls:
    """Web pages to fetch and add to a collection, which is made when it is missing."""

    collection: str
    urls: list[str]
    chunking: Chunking = field(default_factory=Chunking)


@dataclass(frozen=True, slots=True)
class WebSearch:
    """A search of the web; ``count`` is the most results that are wanted."""

    query: str
    count: int = 5


@dataclass(frozen=True, slots=True)
class WebResult:
    """A page that a web search found.

    Attributes:
        text: what the search engine shows of it.
    """

    title: str
    url: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class WebResults:
    """Results, best first, and the provider that was asked."""

    results: list[WebResult]
    provider: str


ADD_URLS = unary("index.add_urls", AddUrls, JobRecord)
WEB_SEARCH = unary("index.web_search", WebSearch, WebResults)
METHODS = (ADD_URLS, WEB_SEARCH)


class Surfing:
    """The part of the Index service's client that searches the web."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def web_search(self, query: str, count: int = 5) -> list[WebResult]:
        """Search the web with the provider of ``index.web.search``; ``add(urls=…)`` adds what is worth it.

        Raises:
            Forbidden: the service may not, or has no provider.
        """
        return self._client.call(WEB_SEARCH, WebSearch(query, count)).results
