"""The figures that are no comparison of calls: tails, memory, idle cost, and how soon something begins."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.rigs.rig import ROOT, Part, Processes, Rig, processor_s, python
from benchmarks.rigs.stage import Place, c_proxy, ours_load, raw_load, raw_workers
from benchmarks.rigs.targets import Result

SLOW_MS, FAST_MS = "50", "2"
NUM_QUEUED = 10_000


def tail(processes: Processes, seconds: float) -> Iterator[Result]:
    """The p99 with one slow worker of four, ours by round robin's."""
    place = Place.make(processes.directory, "tail")
    processes.start(place.command("proxy"))
    _, front, back = c_proxy(processes)
    ours = _p99(processes, place.front, place.back, [], seconds)
    yield Result("T10", ours / _p99(processes, front, back, ["--silent"], seconds))


def _p99(processes: Processes, front: str, back: str, options: list[str], seconds: float) -> float:
    workers = raw_workers(processes, back, "--delay-ms", FAST_MS, *options, count=3)
    workers += raw_workers(processes, back, "--delay-ms", SLOW_MS, *options, count=1)
    load = raw_load(processes, front)
    time.sleep(1.0)
    p99 = load.run("200/s", seconds)["p99_s"]
    for part in (*workers, load.part):
        part.terminate()
    return p99


def queue(processes: Processes) -> Iterator[Result]:
    """Memory for a call that waits, in a proxy whose limits let that many in."""
    place = Place.make(processes.directory, "wide")
    proxy = processes.start(python("benchmarks.rigs.wide_proxy", str(place.config)))
    raw_workers(processes, place.back, "--delay-ms", "600000", count=1)
    load = raw_load(processes, place.front)
    time.sleep(2.0)
    before = memory_kib(proxy, "VmRSS")
    load.run("fill", 1.5)
    yield Result("T14", (memory_kib(proxy, "VmRSS") - before) / NUM_QUEUED)
    load.part.kill()


def transfer(processes: Processes, rig: Rig, place: Place) -> Iterator[Result]:
    """The proxy's peak memory while 256 MiB pass it, and what a client next to that feels."""
    proxy, other = rig.parts["proxy"], ours_load(processes, place.front)
    other.run("echo 100 B", 0.2)
    Path(f"/proc/{proxy.pid}/clear_refs").write_text("5", encoding="ascii")  # forget the peak so far
    other.begin("echo 100 B", 3.0)
    rig.load.run("256 MiB", 0.0)
    peak_mib = memory_kib(proxy, "VmHWM") / 1024
    slowest_s = other.end()["slowest_s"]
    other.part.terminate()
    yield Result("T16a", peak_mib)
    yield Result("T16b", slowest_s)


def idle_and_new(processes: Processes, seconds: float) -> Iterator[Result]:
    """What a proxy costs that only has workers, and how soon a new worker serves."""
    loaded = processes.directory / "loaded"
    place = Place.make(processes.directory, "idle", loaded=str(loaded))
    proxy = processes.start(place.command("proxy"))
    (idle,) = raw_workers(processes, place.back, "--number", "16", count=1)
    time.sleep(3.0)
    before, began = processor_s(proxy.pid), time.monotonic()
    time.sleep(seconds)
    share = (processor_s(proxy.pid) - before) / (time.monotonic() - began)
    yield Result("T17", processor=share * 100)
    idle.terminate()
    idle.wait()
    yield Result("T20", median(_first_answer_s(processes, place, loaded) for _ in range(3)))


def _first_answer_s(processes: Processes, place: Place, loaded: Path) -> float:
    load = ours_load(processes, place.front)
    load.begin("echo 100 B", 0.0)
    worker = processes.start(place.command("worker"))
    load.end()
    answered = time.monotonic()
    for part in (worker, load.part):
        part.terminate()
        part.wait()
    return answered - float(loaded.read_text(encoding="ascii"))


def first_call(place: Place, count: int) -> Iterator[Result]:
    """How long a new program needs to its first answer from a mesh that runs."""
    command = python("benchmarks.rigs.first_call", place.front)
    told = [subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout.split() for _ in range(count)]
    took_s, spent_s = (median(float(figures[i]) for figures in told) for i in range(2))
    yield Result("T19", took_s * 1000, spent_s * 1000)


def memory_kib(part: Part, field: str) -> int:
    """A line of a process's status, in KiB."""
    for line in Path(f"/proc/{part.pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise LookupError(field)
