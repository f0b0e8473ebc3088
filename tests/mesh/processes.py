"""A proxy and workers of one service as processes, which a test may stop, kill and start again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
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
sys.exit(run(load(sys.argv[1], env={{}}).config, sys.argv[2], *map(int, sys.argv[3:])))
"""
MODULES = {"proxy": "proxies.proxy", "worker": "services.worker"}
OFF = {"llm": {"enabled": False}, "index": {"enabled": False}}
Process = subprocess.Popen[bytes]


@dataclass
class Processes:
    """The processes of one service, and clients of it.

    Attributes:
        path: of the configuration, which names the service's module.
        fronts: what clients connect to, one address for each proxy.
        backs: what workers connect to, one address for each proxy.
    """

    path: Path
    fronts: list[str]
    backs: list[str]
    service: str = "trial"
    started: list[Process] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Where the first proxy listens for clients."""
        return self.fronts[0]

    @property
    def back(self) -> str:
        """Where the first proxy listens for workers."""
        return self.backs[0]

    def start(self, role: str, module_path: str = "", *, number: int = 0, backs: Sequence[str] = ()) -> Process:
        """Start a proxy or a worker, and return without waiting.

        Args:
            role: ``proxy`` or ``worker``.
            module_path: a directory more to import from.
            number: of the proxy.
            backs: where the worker finds the proxies, if not where they listen.
        """
        path = self._seen_from(backs) if backs else self.path
        numbers = [str(number)] if number else []
        code = RUN.format(module=MODULES[role])
        return self.spawn([sys.executable, "-c", code, str(path), self.service, *numbers], module_path)

    def spawn(self, command: Sequence[str], module_path: str = "") -> Process:
        """Start any program, which writes to the log and ends with the mesh."""
        paths = [str(ROOT), *([module_path] if module_path else [])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        with self.path.with_name("log").open("a") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.started.append(process)
        return process

    def _seen_from(self, backs: Sequence[str]) -> Path:
        """A configuration that names other addresses for the same proxies."""
        settings = json.loads(self.path.read_text())
        section = settings["services"][self.service]
        section["back_end"] = {"port": port_of(backs[0])}
        section["proxies"] = [f"{front} {back}" for front, back in zip(self.fronts[1:], backs[1:], strict=True)]
        path = self.path.with_name(f"ragq-{len(self.started)}.yml")
        path.write_text(json.dumps(settings))
        return path

    def start_mesh(self, num_workers: int, module_path: str = "") -> tuple[Process, list[Process]]:
        """Start every proxy and workers, and wait until all of them are known; the first proxy, and the workers."""
        proxy, *_ = [self.start("proxy", number=number) for number in range(len(self.fronts))]
        workers = [self.start("worker", module_path) for _ in range(num_workers)]
        self.wait_workers(num_workers)
        return proxy, workers

    def client(self, timeout_s: float = 20.0) -> Client:
        """A client of every proxy, closed with the mesh."""
        client = Client(self.fronts, timeout_s=timeout_s)
        self.clients.append(client)
        return client

    def status(self, number: int = 0) -> ServiceStatus | None:
        """What a proxy says; None while there is none."""
        try:
            with Client(self.fronts[number]) as client:
                return client.status(1.0)
        except RagqError:
            return None

    def wait_workers(self, count: int) -> None:
        """Wait until every proxy knows exactly so many workers."""

        def has_them(number: int) -> bool:
            status = self.status(number)
            return status is not None and len(status.workers) == count

        until(lambda: all(map(has_them, range(len(self.fronts)))))

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


def port_of(address: str) -> int:
    """The port of a TCP address."""
    return int(address.rpartition(":")[2])


@contextmanager
def processes(
    directory: Path,
    module: str = "tests.mesh.trial:Trial",
    service: str = "trial",
    num_proxies: int = 1,
    **options: Any,
) -> Iterator[Processes]:
    """A service of ``module``, or a built-in one without it, at free ports; nothing is started yet."""
    ports = free_ports(2 * num_proxies)
    fronts, backs = ([f"tcp://127.0.0.1:{port}" for port in half] for half in (ports[::2], ports[1::2]))
    section = {
        "front_end": {"port": ports[0]}, "back_end": {"port": ports[1]},
        "proxies": [f"{front} {back}" for front, back in zip(fronts[1:], backs[1:], strict=True)], **options,
    }  # fmt: skip
    sections = {"services": {service: {"module": module, **section}}, **OFF} if module else {service: section}
    path = directory / "ragq.yml"
    path.write_text(json.dumps({"data_dir": str(directory / "home"), **sections}))  # JSON is YAML too
    mesh = Processes(path, fronts, backs, service)
    try:
        yield mesh
    finally:
        mesh.end()
