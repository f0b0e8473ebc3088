"""Where does a socket of the mesh bind or connect?"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal, cast, get_args

from .errors import ConfigError

Protocol = Literal["tcp", "ipc", "inproc"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a socket binds or connects.

    Attributes:
        host: for tcp a name or address; for ipc a path; for inproc a name.
    """

    port: int = 0
    host: str = "127.0.0.1"
    protocol: Protocol = "tcp"

    @property
    def address(self) -> str:
        """What ZeroMQ is given."""
        return f"tcp://{self.host}:{self.port}" if self.protocol == "tcp" else f"{self.protocol}://{self.host}"

    @classmethod
    def parse(cls, address: str) -> Endpoint:
        """The endpoint of an address such as ``tcp://10.0.0.2:7781`` or ``ipc:///run/ragq/llm``.

        Raises:
            ConfigError: it is none.
        """
        protocol, separator, rest = address.partition("://")
        host, _, port = rest.rpartition(":") if protocol == "tcp" else (rest, "", "0")
        if not (separator and host and port.isdecimal() and protocol in get_args(Protocol)):
            raise ConfigError(f"'{address}' is no address", help="write tcp://HOST:PORT, ipc://PATH or inproc://NAME")
        return cls(int(port), host, cast("Protocol", protocol))

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.protocol != "tcp" or is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine alone; a name that only begins like 127. does not."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class Pair:
    """Where one proxy listens: in front for clients, at the back for workers."""

    front_end: Endpoint
    back_end: Endpoint


def pair(text: str) -> Pair:
    """A further proxy's endpoints, written ``FRONT BACK``; ConfigError when they are not."""
    match text.split():
        case [front, back]:
            return Pair(Endpoint.parse(front), Endpoint.parse(back))
    raise ConfigError(f"proxies: '{text}' is not FRONT BACK", help="such as 'tcp://HOST:7781 tcp://HOST:7782'")
