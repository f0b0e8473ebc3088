"""Where does a URL point to: scheme, host, port and path, in the form that goes on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from clients.errors import BadRequest

PORTS = {"http": 80, "https": 443}
MAX_URL_CHARS = 4000
KEPT = "/%:@!$&'()*+,;=~-._?"


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that can be asked for.

    Attributes:
        host: in ASCII and lower case, without the brackets of IPv6.
        path: with the query, escaped.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == PORTS.get(self.scheme) else f":{self.port}")

    @property
    def url(self) -> str:
        """The whole, without a fragment: one page has one spelling."""
        return self.origin + self.path


def target(url: str, schemes: Sequence[str]) -> Target:
    """Take a URL apart.

    Args:
        url: as a person or a page wrote it.
        schemes: those that are allowed, of http and https.

    Raises:
        BadRequest: it is no URL, its scheme is not allowed, or it carries a password.
    """
    text = url.strip()
    if len(text) > MAX_URL_CHARS or any(c.isspace() or ord(c) < 32 for c in text):
        raise BadRequest(f"{text[:80]!r} is not a URL", help="URLs have no spaces; copy it from the browser")
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").rstrip("."), parts.port
        ascii_host = host if ":" in host else host.encode("idna").decode()
    except ValueError as error:
        raise BadRequest(f"{text[:80]!r} is not a URL: {error}", help="copy it from the browser") from error
    if parts.scheme not in schemes or parts.scheme not in PORTS:
        raise BadRequest(
            f"{text[:80]!r} is no {' or '.join(schemes)} address", help="give the whole URL: https://example.org/page"
        )
    if not ascii_host:
        raise BadRequest(f"{text[:80]!r} names no host", help="give the whole URL: https://example.org/page")
    if parts.username is not None or parts.password is not None:
        raise BadRequest("the URL carries a user name or password", help="pages behind a login cannot be added by URL")
    path = quote(parts.path or "/", safe=KEPT) + (f"?{quote(parts.query, safe=KEPT)}" if parts.query else "")
    return Target(parts.scheme, ascii_host.lower(), PORTS[parts.scheme] if port is None else port, path)
