"""How do the proxies of this machine learn at once that a worker's process has ended?"""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self

from clients.client import Client
from clients.errors import RagqError
from clients.system import LOST, Lost
from services.launching.liaison import INTERVAL_S


class Notices:
    """Tells each proxy, at its control socket; from a thread of its own, in the order of the deaths.

    A proxy notices by itself when a connection breaks. It does not when the process left behind something that
    keeps the connection open, and then this saves the calls seconds.

    Args:
        addresses: of the control sockets.
    """

    def __init__(self, addresses: Sequence[str], connect: Callable[[str], Client] = Client) -> None:
        self._addresses, self._connect = addresses, connect
        self._ended: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="tells the proxies", daemon=True)

    def ended(self, pid: int) -> None:
        """A process of this machine has ended; returns at once."""
        self._ended.put(pid)

    def _run(self) -> None:
        clients = [self._connect(address) for address in self._addresses]
        while (pid := self._ended.get()) is not None:
            for client in clients:
                with suppress(RagqError):  # a proxy that is down has nothing to lose
                    client.call(LOST, Lost(pid, socket.gethostname()), timeout_s=INTERVAL_S)
        for client in clients:
            client.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.put(None)
