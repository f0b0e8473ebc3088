"""How fast is the mesh, next to a proxy in C and to other stacks?

    python benchmarks/mesh.py [--quick] [--peers-python PYTHON] [--log] [--gate]

One run starts the proxy in C (``zmq.proxy``), ours under the same load, the whole of ragq, and, where
PYTHON's environment has them, gRPC, zerorpc and FastAPI:

    python -m venv peers && peers/bin/pip install grpcio zerorpc fastapi uvicorn httpx numpy

Each is used as its own documentation advises: gRPC with bytes handlers, one channel and no
compression; nobody but ragq has a hop through a proxy. Every round runs all cases of all stacks in a
new order, and what counts is the median of the rounds' ratios. The time of a call is told next to the
processor time of all processes that took part in it, which other work on the machine moves less.

Nothing is judged by figures that vary more than twofold in the proxy in C.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.rigs import probes, report  # noqa: E402
from benchmarks.rigs.rig import Rig, stage  # noqa: E402
from benchmarks.rigs.rounds import Rounds  # noqa: E402
from benchmarks.rigs.stage import Place, c_rig, other_rigs, ours_rig, raw_rig  # noqa: E402
from benchmarks.rigs.targets import Result  # noqa: E402

ALONE = {"200/s", "fill", "256 MiB"}


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: rounds, seconds for a case, and for the figures that need a while."""

    num_rounds: int
    case_s: float
    tail_s: float
    idle_s: float
    num_starts: int


FULL, QUICK = Effort(9, 0.3, 6.0, 10.0, 7), Effort(3, 0.12, 3.0, 3.0, 3)


@dataclass(slots=True)
class Run:
    """Everything that was found, and which stacks were left out."""

    rounds: Rounds = field(default_factory=Rounds)
    results: dict[str, Result] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def add(self, results: Iterator[Result]) -> None:
        """Note results."""
        self.results.update({result.name: result for result in results})


def measure(effort: Effort, interpreter: str) -> Run:
    """Compare, then look at what is no comparison."""
    run = Run()
    with stage() as processes:
        place = Place.make(processes.directory, "ours")
        ours = ours_rig(processes, place)
        rigs = [c_rig(processes), raw_rig(processes), ours]
        for other in other_rigs(processes, interpreter):
            rigs.append(other) if isinstance(other, Rig) else run.left_out.append(other)
        plan = [(rig, case) for rig in rigs for case in rig.load.cases if case not in ALONE]
        run.rounds.run(plan, effort.num_rounds, effort.case_s)
        run.add(report.compared(run.rounds))
        run.add(probes.transfer(processes, ours, place))
        run.add(probes.first_call(place, effort.num_starts))
    with stage() as processes:
        run.add(probes.tail(processes, effort.tail_s))
    with stage() as processes:
        run.add(probes.queue(processes))
        run.add(probes.idle_and_new(processes, effort.idle_s))
    return run


def written(run: Run, place: str) -> Iterator[str]:
    """The report as lines of Markdown."""
    yield from (f"## {datetime.now(UTC):%Y-%m-%d} mesh", "", f"{place}.", "")
    yield from report.target_table(run.results, report.spreads(run.rounds))
    yield ""
    yield from report.raw_table(run.rounds)
    yield ""
    yield from report.full_table(run.rounds)
    yield from ("", *(f"Left out: {reason}." for reason in run.left_out))


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the mesh next to a proxy in C and to other stacks.")
    parser.add_argument("--quick", action="store_true", help="about a minute, and rougher figures")
    parser.add_argument("--peers-python", default=sys.executable, help="interpreter of an environment with the others")
    parser.add_argument("--log", action="store_true", help="append to benchmarks/LOG.md")
    parser.add_argument("--gate", action="store_true", help="exit with 1 when a target is missed")
    given = parser.parse_args()
    began = time.monotonic()
    run = measure(QUICK if given.quick else FULL, given.peers_python)
    took = f"{time.monotonic() - began:.0f} s{', quick' if given.quick else ''}"
    text = "\n".join(written(run, f"{platform.machine()}, Python {platform.python_version()}, {took}"))
    print(text)
    if given.log:
        with (ROOT / "benchmarks" / "LOG.md").open("a", encoding="utf-8") as log:
            log.write(f"\n{text}")
    failed = [
        target for target, _, verdict in report.judged(run.results, report.spreads(run.rounds)) if verdict == "FAIL"
    ]
    return int(given.gate and bool(failed))


if __name__ == "__main__":
    sys.exit(main())
