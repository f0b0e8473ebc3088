"""Every process of a service is replaced under load, one after the other: no call fails, and none runs twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.caller import Caller, call_at_a_rate
from tests.chaos.conftest import Measured
from tests.mesh.processes import Process, Processes, processes, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]
TOY = {"name": "toy", "backend": "toy"}
RATE = 100


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path, num_proxies=2) as mesh:
        yield mesh


def replace_workers(mesh: Processes, workers: list[Process]) -> list[Process]:
    """The new ones; each takes its place before an old one leaves."""
    new = []
    for old in workers:
        new.append(mesh.start("worker"))
        mesh.wait_workers(len(workers) + 1)
        old.terminate()
        assert old.wait(60) == 0
        mesh.wait_workers(len(workers))
    return new


def replace_proxies(mesh: Processes, proxies: list[Process], num_workers: int) -> list[Process]:
    """The new ones, each at the address of its predecessor."""
    new = []
    for number, old in enumerate(proxies):
        old.terminate()
        assert old.wait(60) == 0
        new.append(mesh.start("proxy", number=number))
        mesh.wait_workers(num_workers)
    return new


def answered(caller: Caller, more: int) -> None:
    """Wait for so many answers more."""
    so_far = len(caller.outcomes())
    until(lambda: len(caller.outcomes()) > so_far + more, 60)


def test_no_call_fails_and_none_runs_twice_while_every_process_is_replaced(
    mesh: Processes, tmp_path: Path, measured: Measured
) -> None:
    mesh.start_mesh(2)
    proxies, workers = mesh.started[:2], mesh.started[2:]
    marks = tmp_path / "marks"
    steps = call_at_a_rate(mesh, "step", RATE, seconds=0.01, marks=marks)
    waits = call_at_a_rate(mesh, "wait", RATE, seconds=0.01)
    answered(steps, RATE // 2)
    for _ in range(2):
        workers = replace_workers(mesh, workers)
        answered(steps, RATE // 2)
        proxies = replace_proxies(mesh, proxies, 2)
        answered(steps, RATE // 2)
    ended = [*steps.finish(), *waits.finish()]
    measured("calls during two rolling restarts of two proxies and two workers", len(ended), "")
    measured("the slowest of them", max(outcome.took_s for outcome in ended), "s")
    assert Counter(outcome.error for outcome in ended).keys() == {""}
    assert set(Counter(marks.read_text().split()).values()) == {1}
    assert len(marks.read_text().split()) == len(steps.outcomes())


def test_no_call_of_a_req_socket_fails_while_every_worker_is_replaced(tmp_path: Path) -> None:
    with processes(tmp_path, "", "llm", embed=TOY, rerank=TOY, generate=TOY) as mesh:
        _, workers = mesh.start_mesh(2)
        caller = call_at_a_rate(mesh, "legacy", 20, seconds=60)
        answered(caller, 20)
        replace_workers(mesh, workers)
        answered(caller, 20)
        assert Counter(outcome.error for outcome in caller.finish()).keys() == {""}


def test_a_single_proxy_that_is_replaced_costs_no_call(tmp_path: Path, measured: Measured) -> None:
    """Calls wait in their clients until the successor listens at the same address."""
    with processes(tmp_path) as mesh:
        proxy, _ = mesh.start_mesh(2)
        marks = tmp_path / "marks"
        steps = call_at_a_rate(mesh, "step", RATE, seconds=0.01, marks=marks)
        answered(steps, RATE // 2)
        proxy.terminate()
        mesh.start("proxy")
        assert proxy.wait(60) == 0
        mesh.wait_workers(2)
        answered(steps, RATE // 2)
        ended = steps.finish()
    measured("the slowest call while the only proxy is replaced", max(outcome.took_s for outcome in ended), "s")
    assert Counter(outcome.error for outcome in ended).keys() == {""}
    assert set(Counter(marks.read_text().split()).values()) == {1}


def test_a_req_socket_whose_proxy_is_replaced_is_answered_or_waits_its_own_time(tmp_path: Path) -> None:
    """It cannot be told that a proxy leaves: what it sends in that moment is refused, or has no answer."""
    with processes(tmp_path, "", "llm", embed=TOY, rerank=TOY, generate=TOY) as mesh:
        proxy, _ = mesh.start_mesh(2)
        caller = call_at_a_rate(mesh, "legacy", 20, seconds=10)
        for _ in range(3):
            answered(caller, 20)
            (proxy,) = replace_proxies(mesh, [proxy], 2)
        answered(caller, 20)
        ended = Counter(outcome.error for outcome in caller.finish())
    others = [error for error in ended if error and not error.startswith("Again") and "shutting down" not in error]
    assert others == []
    assert ended.total() - ended[""] < ended[""] / 4
