"""A proxy and workers of one service as processes, which a test may stop, kill and start again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clients import Client, RagqError, ServiceStatus
from tests.conftest import ROOT, free_ports

RUN = """
import sys
from clients.settings import load
from {module} import run
sys.exit(run(load(sys.argv[1], env={{}}).config, sys.argv[2]))
"""
MODULES = {"proxy": "proxies.proxy", "worker": "services.worker"}
OFF = {"llm": {"enabled": False}, "index": {"enabled": False}}
Process = subprocess.Popen[bytes]


@dataclass
class Processes:
    """The processes of one service, and clients of it.

    Attributes:
        path: of the configuration, which names the service's module.
    """

    path: Path
    address: str
    back: str
    service: str = "trial"
    started: list[Process] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)

    def start(self, role: str, module_path: str = "") -> Process:
        """Start a proxy or a worker, and return without waiting."""
        paths = [str(ROOT), *([module_path] if module_path else [])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        command = [sys.executable, "-c", RUN.format(module=MODULES[role]), str(self.path), self.service]
        with self.path.with_name("log").open("a") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.started.append(process)
        return process

    def start_mesh(self, num_workers: int, module_path: str = "") -> tuple[Process, list[Process]]:
        """Start a proxy and workers, and wait until all of them are known."""
        proxy = self.start("proxy")
        workers = [self.start("worker", module_path) for _ in range(num_workers)]
        self.wait_workers(num_workers)
        return proxy, workers

    def client(self, timeout_s: float = 20.0) -> Client:
        """A client, closed with the mesh."""
        client = Client(self.address, timeout_s=timeout_s)
        self.clients.append(client)
        return client

    def status(self) -> ServiceStatus | None:
        """What the proxy says; None while there is none."""
        try:
            with Client(self.address) as client:
                return client.status(1.0)
        except RagqError:
            return None

    def wait_workers(self, count: int) -> None:
        """Wait until the proxy knows exactly so many workers."""

        def has_them() -> bool:
            status = self.status()
            return status is not None and len(status.workers) == count

        until(has_them)

    def log(self) -> str:
        """What the processes wrote."""
        return self.path.with_name("log").read_text(encoding="utf-8")

    def end(self) -> None:
        """Close the clients and end every process."""
        for client in self.clients:
            client.close()
        for process in reversed(self.started):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def until(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@contextmanager
def processes(
    directory: Path, module: str = "tests.mesh.trial:Trial", service: str = "trial", **options: Any
) -> Iterator[Processes]:
    """A service of ``module``, or a built-in one without it, at free ports; nothing is started yet."""
    front, back = free_ports(2)
    section = {"front_end": {"port": front}, "back_end": {"port": back}, **options}
    sections = {"services": {service: {"module": module, **section}}, **OFF} if module else {service: section}
    path = directory / "ragq.yml"
    path.write_text(json.dumps({"data_dir": str(directory / "home"), **sections}))  # JSON is YAML too
    mesh = Processes(path, f"tcp://127.0.0.1:{front}", f"tcp://127.0.0.1:{back}", service)
    try:
        yield mesh
    finally:
        mesh.end()
