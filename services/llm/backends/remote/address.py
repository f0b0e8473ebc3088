"""Where is the server, and which key does it want."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from clients.errors import ConfigError

DEFAULT_PORTS = {"http": 80, "https": 443}
VERSION = re.compile(r"/v\d+$")


@dataclass(frozen=True, slots=True)
class Address:
    """An HTTP server and the path below which it answers; ``path`` has no slash at its end."""

    scheme: str
    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def authority(self) -> str:
        """Host and port as they stand in an address and in the header ``Host``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def root(self) -> Address:
        """The same without the version at its end: ``http://host:8000`` of ``http://host:8000/v1``."""
        return replace(self, path=VERSION.sub("", self.path))


def parse_address(url: str, key: str) -> Address:
    """The address in ``url``.

    Args:
        url: what ragq.yml says.
        key: where it says so, for messages: ``llm.embed.url``.

    Raises:
        ConfigError: it is missing or no http address, or has a name and password, a query or a fragment.
    """
    if not url:
        raise ConfigError(f"{key} is empty, and the remote backend needs it", help=f"{key}: http://host:8000/v1")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"{key}: '{url}' is no address: {error}") from error
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ConfigError(f"{key}: '{url}' is no http address", help="such as http://host:8000/v1")
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigError(
            f"{key} takes no password, no '?' and no '#'", help="a key belongs into api_key, which is never shown"
        )
    return Address(parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme], parts.path.rstrip("/"))


def read_key(api_key: str, key: str) -> str:
    """The key itself; ``$NAME`` reads the environment.

    Raises:
        ConfigError: the variable is not set, or the key has characters that no header may have.
    """
    value = api_key
    if api_key.startswith("$"):
        name = api_key[1:].strip("{}")
        value = os.environ.get(name, "")
        if not value:
            raise ConfigError(f"{key}: the environment variable {name} is not set", help=f"export {name}=...")
    if not (value.isascii() and value.isprintable()):
        raise ConfigError(f"{key} has characters that no HTTP header may have")
    return value
