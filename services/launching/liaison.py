"""What do the proxies tell the launcher of its workers?"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from clients.client import Client
from clients.errors import RagqError
from clients.overview import MeshStatus, Overview

INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True)
class Stuck:
    """A worker of this machine holds its interpreter and answers nobody; it should be started again."""

    pid: int


class Liaison:
    """Asks the proxies every second; a thread of its own, so that a slow proxy holds nobody up.

    Args:
        fronts: of the proxies to ask, by service.
        connect: makes the client of one.
        hear: told of each worker that is stuck, again and again as long as it is.
    """

    def __init__(
        self, fronts: Mapping[str, Sequence[str]], connect: Callable[[str], Client], hear: Callable[[Stuck], None]
    ) -> None:
        self._fronts, self._connect, self._hear = fronts, connect, hear
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="asks the proxies", daemon=True)

    def _run(self) -> None:
        proxies: Overview | None = None
        while not self._ended.wait(INTERVAL_S):
            with suppress(RagqError):  # a key that is not there yet, or was taken away
                proxies = proxies or Overview(self._fronts, self._connect)
                report(proxies.look(INTERVAL_S), self._hear)
        if proxies is not None:
            proxies.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()  # whoever stops a mesh does not wait for an answer that may be a second away


def report(status: MeshStatus, hear: Callable[[Stuck], None]) -> None:
    """Tell of each worker of this machine that is stuck."""
    for worker in (worker for service in status.services for worker in service.workers):
        if worker.state == "stuck" and worker.host == socket.gethostname():
            hear(Stuck(worker.pid))
