"""What callers see when the network between a client, a proxy and a worker is cut, slow, rude or forgetful."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clients import Client, RagqError, errors
from tests.chaos.conftest import Measured
from tests.chaos.relay import Relay, Toxics, relay
from tests.mesh.processes import Process, Processes, port_of, processes, until
from tests.mesh.trial import COUNT, ECHO, STEP, WAIT, Blob, Count, Wait

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path) as mesh:
        mesh.start("proxy")
        until(lambda: mesh.status() is not None)
        yield mesh


@pytest.fixture
def front(mesh: Processes) -> Iterator[Relay]:
    """Between the clients and the proxy."""
    with relay(port_of(mesh.address)) as between:
        yield between


@pytest.fixture
def back(mesh: Processes) -> Iterator[Relay]:
    """Between a worker and the proxy."""
    with relay(port_of(mesh.back)) as between:
        yield between


def workers_here_and_behind(mesh: Processes, back: Relay) -> tuple[Process, Process]:
    here, behind = mesh.start("worker"), mesh.start("worker", backs=[back.address])
    mesh.wait_workers(2)
    return here, behind


def running_at(client: Client, process: Process) -> int:
    return sum(worker.running for worker in client.status().workers if worker.pid == process.pid)


def darken(back: Relay, ways: str) -> None:
    back.up.is_dark = "up" in ways
    back.down.is_dark = "down" in ways


@pytest.mark.parametrize("ways", ["up and down", "up", "down"])
def test_a_worker_that_is_cut_off_loses_no_call_and_comes_back(
    mesh: Processes, back: Relay, ways: str, measured: Measured
) -> None:
    here, behind = workers_here_and_behind(mesh, back)
    client = mesh.client()
    with ThreadPoolExecutor(16) as pool:
        calls = [pool.submit(client.call, WAIT, Wait(1.0)) for _ in range(16)]
        until(lambda: running_at(client, behind) == 8)
        darken(back, ways)
        began = time.monotonic()
        mesh.wait_workers(1)
        measured(f"a worker that is cut off ({ways}) is noticed", time.monotonic() - began, "s")
        assert {call.result().pid for call in calls} <= {here.pid, behind.pid}
    back.heal()
    began = time.monotonic()
    mesh.wait_workers(2)
    measured(f"it is back after healing ({ways})", time.monotonic() - began, "s")
    assert client.status().num_failed == 0
    until(lambda: client.call(WAIT, Wait()).pid == behind.pid)


def test_a_worker_that_is_cut_off_costs_its_other_calls_only_and_they_are_told(
    mesh: Processes, back: Relay, tmp_path: Path
) -> None:
    _, behind = workers_here_and_behind(mesh, back)
    client, ran = mesh.client(), tmp_path / "ran"
    with ThreadPoolExecutor(16) as pool:
        calls = [pool.submit(client.call, STEP, Wait(4.0, str(ran))) for _ in range(16)]
        until(lambda: ran.exists() and len(ran.read_text().splitlines()) == 16)
        back.partition()
        outcomes = Counter(type(call.exception()) for call in calls)
    assert outcomes == {type(None): 8, errors.WorkerLost: 8}
    assert Counter(ran.read_text().splitlines())[str(behind.pid)] == 8


def test_a_client_that_is_cut_off_is_told_and_goes_on_when_it_is_healed(
    mesh: Processes, front: Relay, measured: Measured
) -> None:
    mesh.start("worker")
    mesh.wait_workers(1)
    with Client(front.address, timeout_s=40) as client, ThreadPoolExecutor(8) as pool:
        client.call(ECHO, Blob())
        steps = [pool.submit(client.call, STEP, Wait(30)) for _ in range(4)]
        until(lambda: client.status().running == 4)
        front.partition()
        began = time.monotonic()
        assert {type(step.exception()) for step in steps} <= {errors.Unreachable, errors.ConnectionLost}
        measured("a client that is cut off is told", time.monotonic() - began, "s")
        front.heal()
        until(lambda: is_answered(client))
    near = mesh.client()
    until(lambda: near.status().running == 0)


def is_answered(client: Client) -> bool:
    try:
        return client.call(ECHO, Blob("x"), timeout_s=5).text == "x"
    except RagqError:
        return False


def test_a_connection_that_is_forgotten_on_the_way_is_replaced(mesh: Processes, back: Relay) -> None:
    """Neither end hears of it: the worker comes again while the proxy still holds its old connection."""
    worker = mesh.start("worker", backs=[back.address])
    mesh.wait_workers(1)
    client = mesh.client(timeout_s=40)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(client.call, WAIT, Wait(1.0)) for _ in range(4)]
        until(lambda: running_at(client, worker) == 4)
        back.forget()
        assert {call.result().pid for call in calls} == {worker.pid}
    until(lambda: back.num_passages == 2)
    mesh.wait_workers(1)
    assert client.status().num_failed == 0


@pytest.mark.parametrize("side", ["front", "back"])
def test_connections_that_break_again_and_again_lose_no_idempotent_call(
    mesh: Processes, front: Relay, back: Relay, side: str
) -> None:
    """RST at odd moments, also within a message."""
    mesh.start("worker", backs=[back.address])
    mesh.wait_workers(1)
    between = front if side == "front" else back
    blob = Blob(data=bytes(300_000))
    with Client(front.address, timeout_s=60) as client:
        until(lambda: is_answered(client))
        for round_number in range(6):
            with ThreadPoolExecutor(4) as pool:
                calls = [pool.submit(client.call, ECHO, blob) for _ in range(8)]
                time.sleep(0.003 * round_number)
                between.reset()
                assert all(call.result().data == blob.data for call in calls)
            mesh.wait_workers(1)
            until(lambda: is_answered(client))
    assert between.num_passages > 6


@pytest.mark.parametrize(
    "toxics", [Toxics(piece=1), Toxics(latency_s=0.1, jitter_s=0.2), Toxics(rate=300_000, piece=1500)],
    ids=["byte by byte", "late and unevenly late", "slow"],
)  # fmt: skip
def test_a_poor_network_is_slow_and_no_more(mesh: Processes, front: Relay, back: Relay, toxics: Toxics) -> None:
    front.up = front.down = back.up = back.down = toxics
    mesh.start("worker", backs=[back.address])
    mesh.wait_workers(1)
    blob = Blob("text", bytes(5000))
    with Client(front.address, timeout_s=60) as client, ThreadPoolExecutor(4) as pool:
        assert all(echo.data == blob.data for echo in pool.map(lambda _: client.call(ECHO, blob), range(8)))
        assert [number.value for number in client.stream(COUNT, Count(50))] == list(range(50))
    if toxics.piece > 1:  # byte by byte, a slow machine may let a heartbeat come too late
        assert (front.num_passages, back.num_passages) == (1, 1)


def test_a_connection_that_carries_too_little_fails_large_calls_and_no_small_ones(
    mesh: Processes, front: Relay
) -> None:
    mesh.start("worker")
    mesh.wait_workers(1)
    front.up.limit = 200_000
    with Client(front.address, timeout_s=20) as client:
        with pytest.raises(RagqError) as caught:
            client.call(ECHO, Blob(data=bytes(900_000)))
        assert isinstance(caught.value, ConnectionError | TimeoutError)
        until(lambda: is_answered(client))


def test_a_client_that_says_no_more_is_still_answered_or_told(mesh: Processes, front: Relay) -> None:
    """A half-closed connection: the proxy takes it for the end of the client."""
    mesh.start("worker")
    mesh.wait_workers(1)
    with Client(front.address, timeout_s=20) as client, ThreadPoolExecutor(4) as pool:
        client.call(ECHO, Blob())
        steps = [pool.submit(client.call, STEP, Wait(10)) for _ in range(4)]
        until(lambda: client.status().running == 4)
        front.half_close()
        assert {type(step.exception()) for step in steps} <= {errors.Unreachable, errors.ConnectionLost}
        until(lambda: is_answered(client))
        until(lambda: client.status().running == 0)
