"""What callers of a service with two proxies see when one of them dies or stands still: next to nothing."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clients import Client, errors
from tests.chaos.conftest import Measured
from tests.mesh.processes import Process, Processes, processes, until
from tests.mesh.trial import COUNT, ECHO, STEP, WAIT, Blob, Count, Wait

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path, num_proxies=2) as mesh:
        yield mesh


@pytest.fixture
def proxies(mesh: Processes) -> list[Process]:
    mesh.start_mesh(2)
    return mesh.started[:2]


def running(mesh: Processes, number: int) -> int:
    status = mesh.status(number)
    return status.running if status else 0


def running_at_both(mesh: Processes, count: int) -> bool:
    here, there = running(mesh, 0), running(mesh, 1)
    return here + there == count and min(here, there) > 0


@pytest.fixture
def client(mesh: Processes, proxies: list[Process]) -> Client:
    """One that both proxies know."""
    client = mesh.client(timeout_s=60)
    until(lambda: is_shared(mesh, client))
    return client


def is_shared(mesh: Processes, client: Client) -> bool:
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(client.call, WAIT, Wait(0.5)) for _ in range(8)]
        until(lambda: running(mesh, 0) + running(mesh, 1) > 0 or all(call.done() for call in calls))
        seen = min(running(mesh, 0), running(mesh, 1))
        assert all(call.result().pid for call in calls)
    return seen > 0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_idempotent_calls_of_a_proxy_that_is_gone_are_answered_by_the_other(
    mesh: Processes, client: Client, proxies: list[Process], how: signal.Signals, measured: Measured
) -> None:
    with ThreadPoolExecutor(16) as pool:
        calls = [pool.submit(client.call, WAIT, Wait(2.0)) for _ in range(16)]
        until(lambda: running_at_both(mesh, 16))
        proxies[0].send_signal(how)
        began = time.monotonic()
        assert all(call.result().pid for call in calls)
        measured(f"16 calls of 2 s when a proxy is {how.name}, from then on", time.monotonic() - began, "s")
    assert client.call(ECHO, Blob("on")).text == "on"


def test_other_calls_of_a_killed_proxy_are_told_at_once_and_ran_once(
    mesh: Processes, client: Client, proxies: list[Process], tmp_path: Path, measured: Measured
) -> None:
    ran = tmp_path / "ran"
    with ThreadPoolExecutor(16) as pool:
        calls = [pool.submit(client.call, STEP, Wait(3.0, str(ran), str(i))) for i in range(16)]
        until(lambda: running_at_both(mesh, 16))
        lost = running(mesh, 0)
        proxies[0].kill()
        began = time.monotonic()
        until(lambda: sum(call.done() for call in calls) == lost)
        measured("calls that a proxy took with it are told after", time.monotonic() - began, "s")
        outcomes = Counter(type(call.exception()) for call in calls)
    assert outcomes == {type(None): 16 - lost, errors.ConnectionLost: lost}
    assert sorted(ran.read_text().splitlines()) == sorted(map(str, range(16)))


def test_a_stream_of_a_killed_proxy_ends_with_an_error_and_the_others_go_on(
    mesh: Processes, client: Client, proxies: list[Process]
) -> None:
    with ThreadPoolExecutor(4) as pool:
        streams = [client.stream(COUNT, Count(300, pause_s=0.01)) for _ in range(4)]
        firsts = [next(numbers).value for numbers in streams]
        until(lambda: running_at_both(mesh, 4))
        proxies[0].kill()
        outcomes = list(pool.map(the_rest, streams))
    assert firsts == [0] * 4
    whole = [values for values, error in outcomes if error is None]
    broken = [(values, error) for values, error in outcomes if error is not None]
    assert whole == [list(range(1, 300))] * len(whole)
    assert broken
    for values, error in broken:
        assert isinstance(error, errors.ConnectionLost)
        assert values == list(range(1, len(values) + 1))


def the_rest(numbers: object) -> tuple[list[int], errors.RagqError | None]:
    values: list[int] = []
    try:
        for number in numbers:  # type: ignore[attr-defined]  # a stream of numbers
            values.append(number.value)  # noqa: PERF401 - those before an error count
    except errors.RagqError as error:
        return values, error
    return values, None


def test_a_proxy_that_is_started_again_gets_its_share_of_calls(
    mesh: Processes, client: Client, proxies: list[Process]
) -> None:
    proxies[0].kill()
    until(lambda: client.call(WAIT, Wait()).pid > 0)
    mesh.start("proxy")
    mesh.wait_workers(2)
    until(lambda: is_shared(mesh, client))


def test_without_any_proxy_callers_are_told_and_go_on_when_one_comes_back(
    mesh: Processes, client: Client, proxies: list[Process]
) -> None:
    for proxy in proxies:
        proxy.kill()
    until(lambda: is_told(client))
    mesh.start("proxy", number=1)
    until(lambda: mesh.status(1) is not None)
    until(lambda: client.call(WAIT, Wait()).pid > 0)


def is_told(client: Client) -> bool:
    try:
        client.call(STEP, Wait())
    except errors.Unreachable as error:
        return "nobody answers" in error.message
    except errors.ConnectionLost:  # sent before it was known
        return False
    return False


def test_a_worker_of_two_proxies_that_is_killed_costs_no_idempotent_call(
    mesh: Processes, client: Client, proxies: list[Process]
) -> None:
    workers = mesh.started[2:]
    with ThreadPoolExecutor(24) as pool:
        calls = [pool.submit(client.call, WAIT, Wait(0.5)) for _ in range(24)]
        until(lambda: running(mesh, 0) + running(mesh, 1) >= 12)
        workers[0].kill()
        assert all(call.result().pid in {worker.pid for worker in workers} for call in calls)
