"""Live meshes for tests: real processes, free ports, a home of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import settings

from clients import Ragq
from clients.settings import load

settings.register_profile("ragq", deadline=None)  # a busy machine is no defect
settings.load_profile("ragq")
ROOT = Path(__file__).parents[1]
START_TIMEOUT_S = 60.0
TOY: dict[str, Any] = {
    "llm": {
        "embed": {"name": "toy", "backend": "toy"},
        "rerank": {"name": "toy", "backend": "toy"},
        "generate": {"name": "toy", "backend": "toy"},
    },
    "index": {"store": "memory", "sample": False},
}


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``over`` laid upon it, key by key."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


@dataclass
class LiveMesh:
    """A mesh under ``python service.py``, its configuration file and its home."""

    config: Path
    home: Path
    http_port: int
    ui_port: int
    roles: list[str]
    process: subprocess.Popen[str]
    log: Path
    meshes: list[Ragq] = field(default_factory=list)

    def client(self, **options: Any) -> Ragq:
        """A client of this mesh, closed with it."""
        mesh = Ragq(load(self.config, env={}).config, **options)
        self.meshes.append(mesh)
        return mesh

    def run(self, *arguments: str, stdin: str = "", timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a ``ragq`` command against this mesh."""
        command = [sys.executable, str(ROOT / "service.py"), *arguments, "--config", str(self.config)]
        env = environment(self.home)
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False, env=env
        )

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until every service has a worker."""
        mesh, deadline = self.client(), time.monotonic() + timeout_s
        while not mesh.status(0.5).ready:
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the mesh did not start:\n{self.log.read_text(encoding='utf-8')[-4000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Close clients and end the processes; a mesh that does not drain is killed."""
        for mesh in self.meshes:
            mesh.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


def environment(home: Path) -> dict[str, str]:
    """This process's environment with a home of its own, models shared."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "RAGQ_HOME": str(home), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "PYTHONPATH": path}


def start_mesh(directory: Path, settings: Mapping[str, Any], roles: list[str] | None = None) -> LiveMesh:
    """Start a mesh in ``directory`` and return without waiting."""
    ports = free_ports(8)
    home = directory / "home"
    home.mkdir(parents=True, exist_ok=True)
    endpoints = {
        "data_dir": str(home),
        "llm": {"front_end": {"port": ports[0]}, "back_end": {"port": ports[1]}},
        "index": {"front_end": {"port": ports[2]}, "back_end": {"port": ports[3]}},
        "tuning": {"front_end": {"port": ports[4]}, "back_end": {"port": ports[5]}},
        "http": {"port": ports[6]},
        "ui": {"port": ports[7]},
    }
    config = directory / "ragq.yml"
    config.write_text(yaml.safe_dump(merged(endpoints, settings)), encoding="utf-8")
    log = directory / "mesh.log"
    flags = [part for role in roles or ["proxy", "llm", "index"] for part in ("--role", role)]
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "service.py"), "up", "--config", str(config), *flags],
            stdout=out, stderr=subprocess.STDOUT, text=True, env=environment(home), cwd=directory,
        )  # fmt: skip
    return LiveMesh(config, home, ports[6], ports[7], flags[1::2], process, log)


def models_home() -> Path:
    """Where this machine keeps its models: RAGQ_HOME or the platform's data directory."""
    return load(env=dict(os.environ)).config.home


def link_models(home: Path, *names: str) -> None:
    """Let a fresh home use the models of this machine; skips the test when one is absent."""
    shelf = models_home() / "models"
    (home / "models").mkdir(parents=True, exist_ok=True)
    for name in names:
        if not (shelf / name).is_dir():
            pytest.skip(f"model {name} is not in {shelf}: run 'ragq models pull embedded'")
        (home / "models" / name).symlink_to(shelf / name)


@pytest.fixture(scope="session")
def toy_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveMesh]:
    """A mesh with toy models and the memory store: llm, index and the HTTP face; it may follow ``home/../followed``."""
    directory = tmp_path_factory.mktemp("toy")
    (directory / "followed").mkdir()
    settings = merged(TOY, {"index": {"roots": [str(directory / "followed")], "watch_s": 0.2}})
    live = start_mesh(directory, settings, ["proxy", "llm", "index", "http"])
    try:
        live.wait_ready()
        yield live
    finally:
        live.stop()


@pytest.fixture(scope="session")
def embedded_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveMesh]:
    """A mesh with the embedded models and Chroma, its sample knowledge base loaded."""
    directory = tmp_path_factory.mktemp("embedded")
    link_models(directory / "home", "multilingual-e5-small", "smollm2-135m-instruct")
    live = start_mesh(directory, {}, ["proxy", "llm", "index"])
    try:
        live.wait_ready()
        yield live
    finally:
        live.stop()
