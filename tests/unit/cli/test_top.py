"""What ``ragq top`` makes of two looks at the mesh, and how it prints them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from clients.overview import MeshStatus, ProxyReport, together
from clients.status import Latency, MethodStats, ServiceStats, ServiceStatus, WorkerStatus
from tests.unit.cli.desk import Desk
from ui.cli import top
from ui.cli.load import Look, board, quantile

BOUNDS = [0.01, 0.1, 1.0]
NONE = Latency([0, 0, 0, 0])


def stats(*counts: int) -> ServiceStats:
    return ServiceStats(
        "llm", 9.0, BOUNDS, [MethodStats("llm.embed", [], NONE, NONE, Latency([*counts]))], waiting=[2, 5]
    )


def look(at: float, *reports: ProxyReport) -> Look:
    return Look(at, MeshStatus([together(reports)], list(reports)))


def report(number: int, calls: int, counted: ServiceStats | None = None, pid: int = 9, failed: int = 0) -> ProxyReport:
    worker = WorkerStatus("w", 12, "here", "ready", 8, 3)
    status = ServiceStatus(
        "llm", "ready", [worker], queued=7, running=3, pid=pid, num_calls=calls, num_failed=failed, p95_s=0.5
    )
    return ProxyReport("llm", number, f"tcp://127.0.0.1:778{number}", status, counted)


def test_rates_are_what_came_between_two_looks() -> None:
    found = board(look(10.0, report(0, 100), report(1, 50)), look(12.0, report(0, 140, failed=4), report(1, 60)))
    assert [(p.calls_per_s, p.errors_per_s) for p in found.proxies] == [(20.0, 2.0), (5.0, 0.0)]
    (service,) = found.services
    assert (service.calls_per_s, service.running, service.slots, service.num_workers) == (25.0, 6, 16, 1)
    assert service.queued == [14]


def test_a_proxy_that_was_started_again_counts_from_nothing() -> None:
    found = board(look(0.0, report(0, 1000, pid=1)), look(1.0, report(0, 30, pid=2)))
    assert found.proxies[0].calls_per_s == 30.0


def test_latencies_are_those_of_the_last_second_and_of_before_when_it_was_quiet() -> None:
    old, new = report(0, 100, stats(100, 0, 0, 0)), report(0, 110, stats(100, 0, 10, 0))
    busy = board(look(0.0, old), look(1.0, new)).proxies[0]
    assert busy.queued == [2, 5]
    assert 0.1 < busy.p50_s < busy.p95_s <= 1.0
    quiet = board(look(0.0, old), look(1.0, old)).proxies[0]
    assert 0 < quiet.p50_s < quiet.p95_s <= 0.01


@given(st.lists(st.integers(0, 50), min_size=4, max_size=4), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_is_never_a_shorter_time(counts: list[int], one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert 0 <= quantile(small, BOUNDS, counts) <= quantile(large, BOUNDS, counts) <= BOUNDS[-1]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top, "INTERVAL_S", 0.01)


def test_without_a_terminal_it_is_printed_once(ragq: Callable[..., Result]) -> None:
    result = ragq("top")
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines() if line]
    assert [line[0] for line in lines if line[0].isupper()] == ["SERVICE", "PROXY", "WORKER"]
    assert "\x1b" not in result.stdout
    assert result.stderr == ""


def test_a_mesh_that_is_down_is_told_what_to_do(ragq: Callable[..., Result], desk: Desk) -> None:
    desk.down.add("llm")
    result = ragq("top", "--once")
    assert result.exit_code == 0
    assert "'ragq up' starts the mesh" in result.stderr


def test_json_is_one_document(ragq: Callable[..., Result]) -> None:
    found = json.loads(ragq("top", "--json").stdout)
    assert set(found) == {"services", "proxies", "workers"}
    assert found["workers"][0]["worker"]["pid"] == 12
