"""Does a part of the mesh answer yet?"""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

from clients.client import Client
from clients.config import Face
from clients.errors import RagqError

INTERVAL_S = 0.1
TRY_S = 1.0
NOTE_S = 1.5


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


def service_probe(address: str, num_workers: int) -> Probe:
    """A service is ready when its proxy knows all its workers."""

    def probe() -> str | None:
        client = Client(address, timeout_s=TRY_S)
        try:
            status = client.status(TRY_S)
        except RagqError:
            return None
        finally:
            client.close()
        ready = [worker for worker in status.workers if worker.state == "ready"]
        return ready[0].note or status.note if len(ready) >= num_workers else None

    return probe


def proxy_probe(address: str) -> Probe:
    """A proxy is ready when it answers for itself."""

    def probe() -> str | None:
        client = Client(address, timeout_s=TRY_S)
        try:
            return client.status(TRY_S).note
        except RagqError:
            return None
        finally:
            client.close()

    return probe


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
