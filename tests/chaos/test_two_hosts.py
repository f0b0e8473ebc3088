"""Two hosts by configuration: a proxy on one, workers and callers on both, and a cable that is cut, mended or slow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.caller import Caller, call_at_a_rate
from tests.chaos.conftest import Measured
from tests.chaos.hosts import Host, two_hosts
from tests.conftest import ROOT
from tests.mesh.processes import MODULES, RUN, Process, Processes, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]
FRONT, BACK = 7781, 7782


@dataclass(frozen=True, slots=True)
class Site:
    """A service whose proxy is on the first of two hosts."""

    here: Host
    there: Host
    mesh: Processes

    def start(self, role: str, host: Host) -> Process:
        command = [sys.executable, "-c", RUN.format(module=MODULES[role]), str(self.mesh.path), "trial"]
        return self.mesh.spawn(host.command(command))

    def caller(self, method: str, rate: float, host: Host, **more: float) -> Caller:
        return call_at_a_rate(self.mesh, method, rate, on=host.command, **more)

    def run(self, host: Host, code: str) -> object:
        """What a program with a client prints, run on a host."""
        done = subprocess.run(
            host.command([sys.executable, "-c", PRELUDE + code, self.mesh.address]), check=False,
            capture_output=True, text=True, timeout=100, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


PRELUDE = """
import json, sys, time
from clients import Client
from tests.mesh.trial import *
client = Client(sys.argv[1], timeout_s=60)
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with two_hosts() as (here, there):
        front, back = (f"tcp://{here.address}:{port}" for port in (FRONT, BACK))
        section = {
            "module": "tests.mesh.trial:Trial",
            "front_end": {"host": here.address, "port": FRONT},
            "back_end": {"host": here.address, "port": BACK},
        }
        path = tmp_path / "ragq.yml"
        path.write_text(json.dumps({"insecure": True, "data_dir": str(tmp_path), "services": {"trial": section}}))
        mesh = Processes(path, [front], [back])
        try:
            yield Site(here, there, mesh)
        finally:
            mesh.end()


def pids(caller: Caller) -> set[int]:
    return {outcome.pid for outcome in caller.outcomes()}


def answers_since(caller: Caller, moment: float) -> Callable[[], bool]:
    return lambda: any(outcome.at > moment and not outcome.error for outcome in caller.outcomes())


def test_a_worker_that_is_started_later_on_another_host_takes_load(site: Site) -> None:
    site.start("proxy", site.here)
    near = site.start("worker", site.here)
    caller = site.caller("wait", 50, site.there, seconds=0.05)
    until(lambda: pids(caller) == {near.pid})
    far = site.start("worker", site.there)
    until(lambda: pids(caller) == {near.pid, far.pid})
    assert {outcome.error for outcome in caller.finish()} == {""}


def test_calls_go_on_while_another_hosts_cable_is_cut_and_its_worker_comes_back(site: Site, measured: Measured) -> None:
    site.start("proxy", site.here)
    near, far = (site.start("worker", host) for host in (site.here, site.there))
    caller = site.caller("wait", 50, site.here, seconds=0.05)
    until(lambda: pids(caller) == {near.pid, far.pid})
    site.there.cut()
    cut = time.monotonic()
    until(lambda: any(o.at > cut + 4 for o in caller.outcomes()))
    assert {o.pid for o in caller.outcomes() if o.at > cut + 3.9} == {near.pid}
    site.there.mend()
    mended = time.monotonic()
    until(lambda: any(o.at > mended and o.pid == far.pid for o in caller.outcomes()))
    measured("a worker serves again after its cable was mended", time.monotonic() - mended, "s")
    assert {outcome.error for outcome in caller.finish()} == {""}


def test_a_caller_whose_cable_is_cut_is_told_and_goes_on_when_it_is_mended(site: Site, measured: Measured) -> None:
    site.start("proxy", site.here)
    site.start("worker", site.here)
    caller = site.caller("step", 20, site.there)
    until(lambda: len(caller.outcomes()) > 10)
    site.there.cut()
    cut = time.monotonic()
    until(lambda: caller.failures().total() > 0)
    measured("a caller is told that its cable was cut", time.monotonic() - cut, "s")
    site.there.mend()
    until(answers_since(caller, time.monotonic()))
    outcomes = caller.finish()
    assert [int(outcome.mark) for outcome in sorted(outcomes, key=lambda o: int(o.mark))] == list(range(len(outcomes)))


def test_forty_mebibytes_cross_a_slow_cable_with_heartbeats_on(site: Site, measured: Measured) -> None:
    for host in (site.here, site.there):
        host.limit(10)
    site.start("proxy", site.here)
    site.start("worker", site.here)
    code = """
began, num_bytes = time.monotonic(), 0
for number in client.stream(COUNT, Count(40, size=1 << 20)):
    num_bytes += len(number.data)
print(json.dumps([num_bytes, time.monotonic() - began]))
"""
    num_bytes, took_s = site.run(site.there, code)  # type: ignore[misc]  # a list of two
    measured("40 MiB over 10 MB/s", took_s, "s")
    assert num_bytes == 40 << 20
    assert took_s > 2
