"""How does a page come in: addresses checked, redirects followed, unchanged pages left where they are."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from urllib.parse import urljoin

from clients.config import Web
from clients.errors import BadRequest, Forbidden, NotFound, RequestError, TooLarge
from services.index.versions import Validators

from .addresses import Allowed, Resolve, addresses, allowed, system_resolve
from .exchange import Limits, Response, exchange
from .robots import MAX_BYTES as ROBOTS_BYTES
from .robots import Robots
from .targets import Target, target
from .trouble import Trouble

AGENT = "ragq"
REDIRECTS = frozenset({301, 302, 303, 307, 308})
NOT_MODIFIED = 304
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
GONE = frozenset({404, 410})
ACCEPT = "text/html,application/xhtml+xml,application/pdf,text/*;q=0.9,*/*;q=0.5"
FOREIGN = ("image/", "video/", "audio/", "font/")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A response to keep.

    Attributes:
        url: where it came from in the end.
        body: None means unchanged since the validators were given.
    """

    url: str
    content_type: str
    body: bytes | None
    validators: Validators


class Fetcher:
    """Fetches pages over HTTP.

    Args:
        settings: limits, and what is allowed.
        resolve: the addresses of a name.
    """

    def __init__(self, settings: Web, resolve: Resolve = system_resolve) -> None:
        self._settings = settings
        self._resolve = resolve
        self._allowed = allowed(settings.allow)
        self._limits = Limits(settings.max_mb << 20, settings.timeout_s)
        self._robots = Robots(self._robots_of, AGENT, time.monotonic)

    def fetch(self, url: str, held: Validators | None = None) -> Fetched:
        """Fetch a page.

        Args:
            url: http or https.
            held: of the version that is here already; the server may answer that it is still the one.

        Raises:
            Trouble: worth another try.
            RequestError: what is wrong with the URL or the page, and what to do.
        """
        asked = self.check(url)
        headers = {"Accept": ACCEPT, **_conditions(held or Validators())}
        found, answer = self._follow(asked, headers, self._limits, respects_robots=self._settings.robots)
        if answer.status == NOT_MODIFIED and held is not None:
            return Fetched(found.url, "", None, held)
        _refuse(found, answer)
        version = Validators(answer.headers.get("etag", ""), answer.headers.get("last-modified", ""))
        return Fetched(found.url, answer.headers.get("content-type", ""), answer.body, version)

    def check(self, url: str) -> Target:
        """Where a URL points to; BadRequest when it is none that may be fetched."""
        return target(url, self._settings.schemes)

    def ask(self, url: str, limits: Limits, *, trusted: bool = False) -> Response:
        """The answer to a GET whose redirects are followed, for what is not a page.

        Args:
            url: where to.
            limits: of each answer on the way.
            trusted: whether the operator named this very server, so that it may stand in their own network.
        """
        asked = self.check(url)
        allow = replace(self._allowed, hosts=(*self._allowed.hosts, asked.host)) if trusted else self._allowed
        return self._follow(asked, {}, limits, allow=allow)[1]

    def _robots_of(self, place: Target) -> Response:
        try:
            return self.ask(place.url, replace(self._limits, max_bytes=ROBOTS_BYTES))
        except TooLarge:
            return Response(404, {})

    def _follow(
        self,
        asked: Target,
        headers: dict[str, str],
        limits: Limits,
        *,
        respects_robots: bool = False,
        allow: Allowed | None = None,
    ) -> tuple[Target, Response]:
        """Ask, and go where the answer points, with every check anew at each step."""
        headers = {"User-Agent": self._settings.user_agent, **headers}
        for _ in range(self._settings.max_redirects + 1):
            found = addresses(asked.host, asked.port, allow or self._allowed, self._resolve)
            if respects_robots and not self._robots.allow(asked):
                raise Forbidden(
                    f"the robots.txt of {asked.host} does not let programs fetch {asked.path}",
                    help="save the page from a browser and add the file",
                )
            answer = exchange(asked, found, headers, limits, _is_worth_reading)
            place = answer.headers.get("location", "")
            if answer.status not in REDIRECTS or not place:
                return asked, answer
            asked = self.check(urljoin(asked.url, place))
        raise BadRequest(
            f"more than {self._settings.max_redirects} redirects, the last one to {asked.url[:200]}",
            help="open it in a browser and add the address where it ends",
        )


def _is_worth_reading(answer: Response) -> bool:
    return answer.status == 200 and not answer.headers.get("content-type", "").lower().startswith(FOREIGN)


def _conditions(held: Validators) -> dict[str, str]:
    named = {"If-None-Match": held.etag, "If-Modified-Since": held.last_modified}
    return {name: value for name, value in named.items() if value}


def _refuse(found: Target, answer: Response) -> None:
    """Raise for an answer that is no page."""
    status, kind = answer.status, answer.headers.get("content-type", "").lower()
    if status in GONE:
        raise NotFound(f"{found.host} has no such page ({status})", help="open it in a browser to check the address")
    if status in PASSING:
        trouble = Trouble(f"{found.host} answers {status}", help="try again later")
        trouble.retry_after_s = _seconds(answer.headers.get("retry-after", ""))
        raise trouble
    if status != 200:
        raise RequestError(f"{found.host} answers {status}", help="pages behind a login cannot be added by URL")
    if kind.startswith(FOREIGN):
        raise RequestError(f"this is {kind.partition(';')[0]}, not a document", help="add the page that shows it")


def _seconds(text: str) -> float:
    """A Retry-After in seconds; its other form, a date, is left to the usual pace."""
    return float(text) if text.strip().isdigit() else 0.0
