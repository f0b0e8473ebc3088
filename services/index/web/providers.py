"""Who is asked when somebody searches the web?"""

from __future__ import annotations

import json
from typing import Protocol
from urllib.parse import urlencode

from clients.config import Web
from clients.errors import BackendError, Forbidden, MissingExtra
from clients.web import WebResult

from .exchange import Limits
from .fetching import Fetcher
from .opening import Opener

MAX_ANSWER_BYTES = 4 << 20


class Provider(Protocol):
    """A web search.

    Attributes:
        name: as ``index.web.search`` has it.
    """

    name: str

    def search(self, query: str, count: int, timeout_s: float) -> list[WebResult]:
        """Results, best first.

        Raises:
            RagqError: it cannot be asked, or answers something else.
        """
        ...


def provider(settings: Web, opener: Opener) -> Provider:
    """The provider that the configuration names; Forbidden when it names none."""
    opener.check_open()
    if opener.folder:
        return opener.folder
    if settings.search == "searxng":
        return SearXNG(settings.search_url, opener.fetcher)
    if settings.search == "ddgs":
        return Ddgs()
    raise Forbidden(
        "no web search is set up", help="set index.web.search in ragq.yml, for example to 'searxng' with its search_url"
    )


class SearXNG:
    """A SearXNG server of the operator's choice, by its JSON interface; it may stand in a network of their own."""

    name = "searxng"

    def __init__(self, url: str, fetcher: Fetcher) -> None:
        self._url = url.rstrip("/")
        self._fetcher = fetcher

    def search(self, query: str, count: int, timeout_s: float) -> list[WebResult]:
        """Results, best first."""
        url = f"{self._url}/search?{urlencode({'q': query, 'format': 'json'})}"
        answer = self._fetcher.ask(url, Limits(MAX_ANSWER_BYTES, timeout_s), trusted=True)
        if answer.status != 200:
            raise BackendError(
                f"SearXNG at {self._url} answers {answer.status}",
                help="its settings.yml has to list json below search.formats",
            )
        try:
            return _results(json.loads(answer.body), "url", "content", count)
        except (ValueError, TypeError) as error:
            raise BackendError(
                f"SearXNG at {self._url} answers something else than results", help="check index.web.search_url"
            ) from error


class Ddgs:
    """Public search engines by the package ddgs."""

    name = "ddgs"

    def search(self, query: str, count: int, timeout_s: float) -> list[WebResult]:
        """Results, best first."""
        try:
            from ddgs import DDGS
            from ddgs.exceptions import DDGSException
        except ImportError as error:
            raise MissingExtra("ddgs", "web") from error
        try:
            with DDGS(timeout=max(1, int(timeout_s))) as engines:
                return _results({"results": engines.text(query, max_results=count)}, "href", "body", count)
        except DDGSException as error:
            raise BackendError(f"the search engines gave nothing: {error}", help="try again later") from error


def _results(answer: object, url: str, text: str, count: int) -> list[WebResult]:
    """The results of an answer that can be fetched, each address once."""
    if not isinstance(answer, dict) or not isinstance(answer.get("results"), list):
        raise TypeError("no list of results")
    found: dict[str, WebResult] = {}
    for item in answer["results"]:
        place = str(item.get(url) or "") if isinstance(item, dict) else ""
        if place.startswith(("http://", "https://")):
            found.setdefault(place, WebResult(str(item.get("title") or place), place, str(item.get(text) or "")))
    return list(found.values())[:count]
