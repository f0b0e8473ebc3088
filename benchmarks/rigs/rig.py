"""What is measured: processes that serve, and one that calls them; with the processor time of each."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
Part = subprocess.Popen[bytes]
Done = dict[str, float]


def python(*arguments: str) -> list[str]:
    """A module of ours, run by this interpreter."""
    return [sys.executable, "-m", *arguments]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def until_open(port: int, timeout_s: float = 60.0) -> None:
    """Wait until somebody listens at a port."""
    give_up_at = time.monotonic() + timeout_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.05)
        else:
            return


class Processes:
    """Every process of a run, which writes to one log and ends with it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._log = (directory / "log").open("ab")
        self._started: list[Part] = []

    def start(self, command: list[str], *, talks: bool = False, environment: Mapping[str, str] | None = None) -> Part:
        """Start a program; one that talks reads orders and writes answers."""
        pipe = subprocess.PIPE if talks else None
        usual = {name: value for name, value in os.environ.items() if not name.startswith("RAGQ_")}
        given = {**usual, "PYTHONPATH": str(ROOT), **(environment or {})}
        part = subprocess.Popen(
            command, stdin=pipe, stdout=pipe or self._log, stderr=self._log, env=given, cwd=ROOT,
            start_new_session=True,
        )  # fmt: skip
        self._started.append(part)
        return part

    def end(self) -> None:
        """End all of them, and what they started and left behind."""
        for part in self._started:
            part.terminate()
        for part in self._started:
            try:
                part.wait(5)
            except subprocess.TimeoutExpired:
                part.kill()
                part.wait()
            with suppress(ProcessLookupError):
                os.killpg(part.pid, signal.SIGKILL)
        self._log.close()

    def log(self) -> str:
        """The last that they wrote."""
        return (self.directory / "log").read_text(encoding="utf-8", errors="replace")[-2000:]


class Load:
    """A program that makes calls when told to."""

    def __init__(self, part: Part) -> None:
        assert part.stdin is not None
        assert part.stdout is not None
        self.part = part
        self._orders: IO[bytes] = part.stdin
        self._answers: IO[bytes] = part.stdout
        self.cases: list[str] = self._answer()

    def _answer(self) -> list[str]:
        line = self._answers.readline()
        if not line:
            raise RuntimeError(f"a program that makes calls ended with status {self.part.wait()}")
        answer: list[str] = json.loads(line)
        return answer

    def begin(self, case: str, seconds: float) -> None:
        """Tell it to run a case."""
        self._orders.write(json.dumps({"case": case, "seconds": seconds}).encode() + b"\n")
        self._orders.flush()

    def end(self) -> Done:
        """Wait until it has."""
        return dict[str, float](self._answer())  # type: ignore[arg-type]

    def run(self, case: str, seconds: float) -> Done:
        """Run a case."""
        self.begin(case, seconds)
        return self.end()


def processor_s(pid: int) -> float:
    """Processor time of a process with all its threads, also those that have ended, in nanosecond steps.

    It is what the threads' ``schedstat`` files add up to; the clock of the process has the ended ones too.
    """
    return time.clock_gettime((~pid << 3) | 2)


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of a case: calls, time, and the processor time of each process."""

    calls: int
    seconds: float
    processor_s: Mapping[str, float]
    done: Done = field(default_factory=dict)

    @property
    def time_us(self) -> float:
        """Time between two calls that end."""
        return self.seconds / self.calls * 1e6

    def cpu_us(self, part: str = "") -> float:
        """Processor time for a call: of one process, or of all."""
        spent = self.processor_s[part] if part else sum(self.processor_s.values())
        return spent / self.calls * 1e6


@dataclass(slots=True)
class Rig:
    """A stack under measurement: the processes that serve, by name, and the one that calls."""

    name: str
    parts: dict[str, Part]
    load: Load

    def run(self, case: str, seconds: float) -> Sample:
        """Run a case and take every process's clock before and after."""
        parts = {**self.parts, "client": self.load.part}
        before = {name: processor_s(part.pid) for name, part in parts.items()}
        done = self.load.run(case, seconds)
        spent = {name: processor_s(part.pid) - before[name] for name, part in parts.items()}
        return Sample(int(done["calls"]), done["seconds"], spent, done)


@contextmanager
def stage() -> Iterator[Processes]:
    """A place for processes; what they wrote is shown when the run fails."""
    with TemporaryDirectory(prefix="ragq-bench-") as name:
        processes = Processes(Path(name))
        try:
            yield processes
        except Exception:
            sys.stderr.write(processes.log() + "\n")
            raise
        finally:
            processes.end()
