"""Does a part of the mesh answer yet?"""

from __future__ import annotations

import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from clients.client import Client
from clients.config import Config, Face
from clients.errors import ConfigError, RagqError
from clients.keys import credential_of
from clients.status import ServiceStatus, WorkerStatus
from clients.system import HEALTH
from clients.wire import Nothing
from services.index.stores.whereabouts import Whereabouts
from services.launching.home import Home, read_roles

INTERVAL_S = 0.1
TRY_S = 1.0
NOTE_S = 1.5


Connect = Callable[[str], Client]
Probe = Callable[[], str | None]
"""Asks once; None when there is no answer yet, otherwise a line about what answered."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that a person waits for.

    Attributes:
        has_note: it says something of itself, but perhaps a moment after its first answer.
    """

    name: str
    probe: Probe
    has_note: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """A part answered for the first time."""

    name: str
    after_s: float
    note: str


def service_probe(connect: Connect, ours: Sequence[str], fronts: Sequence[str], num_workers: int) -> Probe:
    """A service is ready when its proxies know all the workers of this machine.

    Args:
        connect: makes a client.
        ours: fronts of the proxies that run here; each of them has to know the workers.
        fronts: of all proxies; one of them is enough where none is ours.
        num_workers: how many this machine starts.
    """
    enough = all if ours else any
    asked = ours or fronts

    def probe() -> str | None:
        found = [_status(connect, address) for address in asked]
        if not enough(status is not None and len(_here(status)) >= num_workers for status in found):
            return None
        return next((worker.note for status in found if status for worker in _here(status) if worker.note), "")

    return probe


def proxy_probe(connect: Connect, ours: Sequence[str]) -> Probe:
    """The proxies of a service are ready when each answers for itself."""

    def probe() -> str | None:
        found = [_status(connect, address) for address in ours]
        notes = [status.note for status in found if status is not None]
        return notes[0] if len(notes) == len(ours) else None

    return probe


def connected(config: Config, address: str) -> Client:
    """A client for one proxy, with the key of this machine's clients, or of its workers; ConfigError without either."""
    try:
        credential = credential_of(config, "client")
    except ConfigError:
        credential = credential_of(config, "worker")
    return Client(address, timeout_s=TRY_S, credential=credential)


def _status(connect: Connect, address: str) -> ServiceStatus | None:
    try:
        with connect(address) as client:
            return client.status(TRY_S)
    except RagqError:
        return None


def _here(status: ServiceStatus) -> list[WorkerStatus]:
    """The workers of this machine that take calls."""
    return [worker for worker in status.workers if worker.state == "ready" and worker.host == socket.gethostname()]


def face_probe(face: Face, path: str) -> Probe:
    """A face is ready when it answers over HTTP, whatever it says."""
    address = f"{url(face)}{path}"

    def probe() -> str | None:
        try:
            with urllib.request.urlopen(address, timeout=TRY_S):  # noqa: S310 - http by construction
                return ""
        except urllib.error.HTTPError:
            return ""
        except (OSError, ValueError):
            return None

    return probe


def proxy_settled(connect: Connect, front: str, home: Home, workers: Collection[str]) -> Callable[[int], bool]:
    """Whether a proxy's new process answers and knows again those of these workers that run."""

    def is_settled(pid: int) -> bool:
        status = _status(connect, front)
        running = {record.pid for record in read_roles(home) if record.role in workers and record.state == "running"}
        return status is not None and status.pid == pid and running <= {worker.pid for worker in _here(status)}

    return is_settled


def leaves(control: str) -> bool:
    """Whether a proxy drains, so that its successor may listen beside it."""
    try:
        with Client(control, timeout_s=TRY_S) as client:
            return client.call(HEALTH, Nothing()).state == "draining"
    except RagqError:
        return False


def worker_settled(connect: Connect, ours: Sequence[str], fronts: Sequence[str]) -> Callable[[int], bool]:
    """Whether a worker's new process takes calls from every proxy here that answers, or from one where none is here."""
    enough = all if ours else any

    def is_settled(pid: int) -> bool:
        found = [status for status in (_status(connect, address) for address in ours or fronts) if status]
        return bool(found) and enough(pid in {worker.pid for worker in _here(status)} for status in found)

    return is_settled


def store_probe(config: Config) -> Probe:
    """The server of the vectors is ready when it has said where it listens."""
    where = Whereabouts(config.home)

    def probe() -> str | None:
        place = where.read()
        return f"port {place.port}" if place else None

    return probe


def store_settled(config: Config) -> Callable[[int], bool]:
    """Whether the server's new process has said where it listens."""
    where = Whereabouts(config.home)
    return lambda pid: (place := where.read()) is not None and place.pid == pid


def face_settled(face: Face, path: str) -> Callable[[int], bool]:
    """Whether a face answers; its predecessor had to end before it could begin."""
    probe = face_probe(face, path)
    return lambda _pid: probe() is not None


def url(face: Face) -> str:
    """Where a browser on this machine finds a face."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(face.host, face.host)  # noqa: S104 - compared, not bound
    return f"http://{host}:{face.port}"


def watch(parts: list[Part], report: Callable[[Answered], None], began: float, stop: threading.Event) -> None:
    """Ask each part from a thread of its own until it answers or ``stop`` is set; ``report`` is called from there."""
    for part in parts:
        threading.Thread(
            target=_ask, args=(part, report, began, stop), name=f"waits for {part.name}", daemon=True
        ).start()


def _ask(part: Part, report: Callable[[Answered], None], began: float, stop: threading.Event) -> None:
    after_s = 0.0
    while not stop.is_set():
        note = part.probe()
        took_s = time.monotonic() - began
        if note is not None:
            after_s = after_s or took_s
            if note or not part.has_note or took_s - after_s > NOTE_S:
                report(Answered(part.name, after_s, note))
                return
        stop.wait(INTERVAL_S)
