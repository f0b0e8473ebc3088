"""How does Chroma's server run as a process of ours: on a port of its own, watched, with one owner per directory?"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time

from clients.config import Config
from clients.errors import BackendError, RagqError

from .lock import DirectoryLock
from .stores.exchange import Exchange
from .stores.whereabouts import Place, Whereabouts
from .storing import directory_of

HOST = "127.0.0.1"
LOOK_S = 0.1
WATCH_S = 2.0
ANSWER_S = 5.0
START_S = 60.0
MAX_SILENT_S = 30.0
STUCK_CODE = 70
log = logging.getLogger(__name__)


def run(config: Config) -> int:
    """Serve the vectors to this machine until SIGTERM or SIGINT.

    The server runs in this process, so whoever supervises it supervises the server. A thread asks it for a sign of
    life, and ends the process when there has been none for half a minute.

    Raises:
        Locked: another process owns the directory.
        BackendError: the server ended by itself.
    """
    os.environ.setdefault("RUST_LOG", "warn")  # it reports every request otherwise
    import chromadb_rust_bindings

    directory = directory_of(config)
    lock = DirectoryLock(directory)
    lock.acquire()
    where = Whereabouts(config.home)
    with where.told(), _reserved(where.read()) as reservation:
        port = int(reservation.getsockname()[1])
        guard = _Guard(where, Place(os.getpid(), port))
        threading.Thread(target=guard.run, name="server's guard", daemon=True).start()
        log.info("the vectors in %s are served at port %d", directory, port)
        began = time.monotonic()
        chromadb_rust_bindings.cli(
            ["chroma", "run", "--path", str(directory), "--host", HOST, "--port", str(port)],
        )
        guard.stop()
    lock.release()
    if not guard.was_up and time.monotonic() - began < START_S:
        raise BackendError(f"Chroma's server could not serve {directory} at port {port}", help="ragq logs store")
    return 0


def _reserved(former: Place | None) -> socket.socket:
    """A bound socket that keeps a port for the server, which listens there later; the port it had last, if free."""
    for port in (former.port if former else 0, 0):
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((HOST, port))
        except OSError:
            held.close()
            continue
        return held
    raise BackendError("this machine has no free port", help="look for what uses so many of them")


class _Guard:
    """Tells where the server is once it answers, and ends this process when it does not answer any more."""

    def __init__(self, where: Whereabouts, place: Place) -> None:
        self.was_up = False
        self._where = where
        self._place = place
        self._exchange = Exchange(lambda: place.url)
        self._over = threading.Event()

    def stop(self) -> None:
        """The server has ended."""
        self._over.set()

    def run(self) -> None:
        """Until the server ends."""
        answered_at = time.monotonic()
        while not self._over.wait(WATCH_S if self.was_up else LOOK_S):
            now = time.monotonic()
            if self._answers():
                answered_at = now
                if not self.was_up:
                    self._where.write(self._place)
                    self.was_up = True
            elif now - answered_at > (MAX_SILENT_S if self.was_up else START_S):
                log.error("the server says nothing for %.0f s: it is ended, to be started again", now - answered_at)
                os._exit(STUCK_CODE)

    def _answers(self) -> bool:
        try:
            self._exchange.ask("GET", "/api/v2/heartbeat", timeout_s=ANSWER_S)
        except RagqError:
            return False
        return True
