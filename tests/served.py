"""A Chroma server as a process of its own, as the launcher runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from services.index.stores.exchange import Exchange
from services.index.stores.server import ChromaServer
from services.index.stores.whereabouts import Whereabouts
from tests.conftest import ROOT, environment

START_S = 30.0


class Server:
    """``ragq store`` over a home of its own; it may be killed, stopped and started again."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.where = Whereabouts(home)
        self._stores: list[ChromaServer] = []
        home.mkdir(parents=True, exist_ok=True)
        self._config = home / "store.yml"
        self._config.write_text(
            yaml.safe_dump({"data_dir": str(home), "index": {"store": "chroma-server"}}), encoding="utf-8"
        )
        self.start()

    def start(self) -> None:
        """Start it, and wait until it can be found."""
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "service.py"), "store", "--config", str(self._config)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(self.home),
        )  # fmt: skip
        deadline = time.monotonic() + START_S
        while (place := self.where.read()) is None or place.pid != self.process.pid:
            assert self.process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """Let it do nothing, and hold its connections."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)  # a thread that runs meanwhile may still answer

    def resume(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it in good order, and its clients."""
        for store in self._stores:
            store.close()
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)

    def store(self, database: str = "default_database") -> ChromaServer:
        """A client of it."""
        self._stores.append(ChromaServer(Exchange(self.where.url), database))
        return self._stores[-1]
