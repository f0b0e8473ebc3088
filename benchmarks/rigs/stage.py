"""Which stacks there are, and how each is started."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rigs.rig import ROOT, Load, Part, Processes, Rig, free_ports, python, until_open

C, OURS_RAW, OURS = "C proxy", "ragq proxy", "ragq"
GRPC, GRPC_AIO, ZERORPC, FASTAPI, FASTAPI_JSON = "grpc", "grpc aio", "zerorpc", "FastAPI bytes", "FastAPI JSON"
OFF = {"llm": {"enabled": False}, "index": {"enabled": False}}
NUM_RAW_WORKERS = 2


@dataclass(frozen=True, slots=True)
class Place:
    """A service of ragq that may be started: its configuration and addresses."""

    config: Path
    front: str
    back: str

    @classmethod
    def make(cls, directory: Path, name: str, **options: object) -> Place:
        """A configuration with free ports."""
        front, back = free_ports(2)
        section = {
            "module": "benchmarks.rigs.echoes:Echoes", "front_end": {"port": front}, "back_end": {"port": back},
            "options": options,
        }  # fmt: skip
        path = directory / f"{name}.yml"
        home = str(directory / name)
        path.write_text(json.dumps({"data_dir": home, "services": {"bench": section}, **OFF}), encoding="utf-8")
        return cls(path, f"tcp://127.0.0.1:{front}", f"tcp://127.0.0.1:{back}")

    def command(self, role: str) -> list[str]:
        """The command of ragq that runs a part of it."""
        return [sys.executable, str(ROOT / "service.py"), "--config", str(self.config), role, "bench"]


def raw_workers(processes: Processes, back: str, *options: str, count: int = NUM_RAW_WORKERS) -> list[Part]:
    """Workers that cost next to nothing."""
    return [processes.start(python("benchmarks.rigs.raw_worker", back, *options)) for _ in range(count)]


def raw_load(processes: Processes, front: str) -> Load:
    """Calls to a proxy that cost next to nothing."""
    return Load(processes.start(python("benchmarks.rigs.raw_load", front), talks=True))


def c_proxy(processes: Processes) -> tuple[Part, str, str]:
    """The proxy in C; its process, front and back."""
    front, back = (f"tcp://127.0.0.1:{port}" for port in free_ports(2))
    return processes.start(python("benchmarks.rigs.c_proxy", front, back)), front, back


def c_rig(processes: Processes) -> Rig:
    """The proxy in C under the raw load."""
    proxy, front, back = c_proxy(processes)
    raw_workers(processes, back, "--silent")
    return Rig(C, {"proxy": proxy}, raw_load(processes, front))


def raw_rig(processes: Processes) -> Rig:
    """Our proxy under the raw load."""
    place = Place.make(processes.directory, "raw")
    proxy = processes.start(place.command("proxy"))
    raw_workers(processes, place.back)
    return Rig(OURS_RAW, {"proxy": proxy}, raw_load(processes, place.front))


def ours_rig(processes: Processes, place: Place) -> Rig:
    """The whole of ragq: client, proxy and worker."""
    parts = {role: processes.start(place.command(role)) for role in ("proxy", "worker")}
    return Rig(OURS, parts, ours_load(processes, place.front))


def ours_load(processes: Processes, front: str) -> Load:
    """Calls through ragq's client."""
    return Load(processes.start(python("benchmarks.rigs.ours_load", front), talks=True))


def lacks(interpreter: str, module: str) -> bool:
    """Whether an environment has no such package."""
    return subprocess.run([interpreter, "-c", f"import {module}"], capture_output=True, check=False).returncode != 0


def other_rigs(processes: Processes, interpreter: str) -> Iterator[Rig | str]:
    """Each other stack that the environment has, or why it is left out; none has a hop through a proxy."""
    for names, module, starter in OTHERS:
        if lacks(interpreter, module):
            yield f"{' and '.join(names)}: {interpreter} has no {module}"
        else:
            yield from starter(processes, [interpreter, "-m"])


def _grpc(processes: Processes, run: list[str]) -> Iterator[Rig]:
    for name, kind in ((GRPC, "sync"), (GRPC_AIO, "aio")):
        (port,) = free_ports(1)
        server = processes.start([*run, "benchmarks.rigs.grpc_server", str(port), kind])
        until_open(port)
        yield Rig(name, {"server": server}, _load(processes, [*run, "benchmarks.rigs.grpc_load", str(port)]))


def _zerorpc(processes: Processes, run: list[str]) -> Iterator[Rig]:
    (port,) = free_ports(1)
    server = processes.start([*run, "benchmarks.rigs.zerorpc_server", str(port)])
    until_open(port)
    yield Rig(ZERORPC, {"server": server}, _load(processes, [*run, "benchmarks.rigs.zerorpc_load", str(port)]))


def _fastapi(processes: Processes, run: list[str]) -> Iterator[Rig]:
    (port,) = free_ports(1)
    server = processes.start([*run, "benchmarks.rigs.fastapi_server", str(port)])
    until_open(port)
    for name, kind in ((FASTAPI, "bytes"), (FASTAPI_JSON, "JSON")):
        load = _load(processes, [*run, "benchmarks.rigs.fastapi_load", str(port), kind])
        yield Rig(name, {"server": server}, load)


def _load(processes: Processes, command: list[str]) -> Load:
    return Load(processes.start(command, talks=True))


OTHERS = (
    ((GRPC, GRPC_AIO), "grpc", _grpc),
    ((ZERORPC,), "zerorpc", _zerorpc),
    ((FASTAPI, FASTAPI_JSON), "fastapi", _fastapi),
)
