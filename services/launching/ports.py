"""Is a port free, and if not: who has it?"""

from __future__ import annotations

import errno
import re
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clients.config import Config
from clients.endpoint import Endpoint
from clients.errors import ConfigError, PortBusy, RagqError
from services.launching.places import Place, here

_LISTEN = "0A"
_NOT_OURS = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
_DENIED = errno.EACCES


class PortTaken(PortBusy):
    """A port that a role needs is in use; names the role and, where the system tells, the process."""

    def __init__(self, message: str, *, help: str) -> None:  # noqa: A002 - the word of the error tree
        RagqError.__init__(self, message, help=help)


@dataclass(frozen=True, slots=True)
class Socket:
    """A port that is to be bound, and what for."""

    use: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that listens."""

    pid: int
    name: str
    started: str

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.name}, started {self.started})"


def of_proxy(config: Config, service: str) -> list[Socket]:
    """What the proxies of a service bind on this machine; ipc and inproc have no ports."""
    return [
        _socket(f"{_name(place)} {side}", end)
        for place in here(config, service)
        for side, end in (("front end", place.pair.front_end), ("back end", place.pair.back_end))
        if end.protocol == "tcp"
    ]


def _name(place: Place) -> str:
    return f"{place.service} proxy {place.number}" if place.number else place.service


def _socket(use: str, end: Endpoint) -> Socket:
    return Socket(use, end.host, end.port)


def check(sockets: Iterable[Socket]) -> None:
    """Make sure that every port can be bound.

    Raises:
        PortTaken: the first that cannot.
        ConfigError: a host is no address of this machine.
    """
    for wanted in sockets:
        if not is_free(wanted):
            who = holder(wanted.port)
            raise PortTaken(
                f"port {wanted.port} ({wanted.use}) is already in use{f' by {who}' if who else ''}",
                help="stop that process ('ragq down' stops a ragq), or choose other ports: ragq up --port-offset 100",
            )


def is_free(wanted: Socket) -> bool:
    """Whether the port can be bound now; ConfigError when the host is not of this machine."""
    host = "" if wanted.host == "*" else wanted.host
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, wanted.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, proto) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno in _NOT_OURS:
            raise ConfigError(f"{wanted.use}: cannot listen at '{wanted.host}': {error.strerror}") from None
        if error.errno == _DENIED:
            raise ConfigError(
                f"{wanted.use}: this user may not listen at port {wanted.port}", help="ports below 1024 belong to root"
            ) from None
        return False
    return True


def holder(port: int) -> Holder | None:
    """The process that listens at a port; None where the system does not tell (another user's, or no /proc)."""
    inodes = _listening(port)
    for folder in Path("/proc").glob("[0-9]*") if inodes else ():
        with suppress(OSError):  # not ours to look into, or gone meanwhile
            if any(str(link.readlink()) in inodes for link in folder.glob("fd/*")):
                return _describe(folder)
    return None


def _listening(port: int) -> set[str]:
    wanted = f":{port:04X}"
    found = set()
    for fields in _table():
        if fields[1].endswith(wanted) and fields[3] == _LISTEN:
            found.add(f"socket:[{fields[9]}]")
    return found


def _table() -> Iterator[list[str]]:
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            yield from (line.split() for line in Path(name).read_text(encoding="ascii").splitlines()[1:])


def _describe(folder: Path) -> Holder:
    started = time.localtime(folder.stat().st_mtime)
    name = (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
    return Holder(int(folder.name), re.sub(r"[^\x20-\x7e]", "?", name), time.strftime("%H:%M", started))
