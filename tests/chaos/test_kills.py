"""What callers see when a worker or a proxy dies, stops or is told to leave."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clients import Client, errors
from clients.wire import Method, Nothing
from tests.chaos.conftest import Measured
from tests.mesh.processes import Process, Processes, processes, until
from tests.mesh.trial import ABORT, COUNT, DIE, ECHO, SEEN, STEP, WAIT, Blob, Count, Wait

pytestmark = pytest.mark.chaos


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path) as mesh:
        yield mesh


def running(client: Client) -> int:
    return client.status().running


def by_pid(workers: list[Process], pid: int) -> Process:
    return next(worker for worker in workers if worker.pid == pid)


def test_a_killed_workers_idempotent_calls_are_answered_by_another(mesh: Processes) -> None:
    _, workers = mesh.start_mesh(2)
    client = mesh.client()
    with ThreadPoolExecutor(24) as pool:
        calls = [pool.submit(client.call, WAIT, Wait(0.4)) for _ in range(24)]
        until(lambda: running(client) == 16)
        workers[0].kill()
        pids = Counter(call.result().pid for call in calls)
    assert sum(pids.values()) == 24
    assert pids[workers[1].pid] > 8
    status = client.status()
    assert status.num_requeued >= 1
    assert (status.num_calls, status.num_failed) == (24, 0)


def test_a_killed_workers_other_calls_fail_at_once_and_ran_once(
    mesh: Processes, tmp_path: Path, measured: Measured
) -> None:
    _, workers = mesh.start_mesh(2)
    client, ran = mesh.client(), tmp_path / "ran"
    with ThreadPoolExecutor(16) as pool:
        calls = [pool.submit(client.call, STEP, Wait(2.0, str(ran))) for _ in range(16)]
        until(lambda: ran.exists() and len(ran.read_text().splitlines()) == 16)
        began = time.monotonic()
        workers[0].kill()
        until(lambda: any(call.done() for call in calls))
        measured("the calls of a killed worker are told after", (time.monotonic() - began) * 1000, "ms")
        outcomes = [call.exception() for call in calls]
    lost = [error for error in outcomes if error is not None]
    assert {type(error) for error in lost} == {errors.WorkerLost}
    ran_there = Counter(ran.read_text().splitlines())
    assert ran_there == {str(workers[0].pid): len(lost), str(workers[1].pid): 16 - len(lost)}
    assert time.monotonic() - began < 4


def test_a_stream_of_a_killed_worker_ends_with_an_error(mesh: Processes) -> None:
    _, workers = mesh.start_mesh(2)
    client = mesh.client()
    numbers = client.stream(COUNT, Count(10_000, pause_s=0.005))
    seen = [next(numbers).value for _ in range(50)]
    held = next(w for w in client.status().workers if w.running)
    by_pid(workers, held.pid).kill()
    began = time.monotonic()
    with pytest.raises(errors.WorkerLost):
        seen += [number.value for number in numbers]
    assert time.monotonic() - began < 2
    assert seen == list(range(len(seen)))
    with pytest.raises(errors.WorkerLost):
        _ = numbers.reply


@pytest.mark.parametrize("method", [DIE, ABORT], ids=["kill", "abort"])
def test_a_call_that_kills_its_worker_costs_two_workers_and_no_more(
    mesh: Processes, tmp_path: Path, method: Method[Wait, Nothing, Nothing]
) -> None:
    mesh.start_mesh(3)
    client, ran = mesh.client(), tmp_path / "ran"
    with pytest.raises(errors.Internal, match="two workers died"):
        client.call(method, Wait(path=str(ran)))
    assert len(ran.read_text().splitlines()) == 2
    assert client.call(ECHO, Blob("alive")).text == "alive"


def test_the_only_worker_that_comes_back_takes_its_calls_again(mesh: Processes) -> None:
    """Its connection was lost, it did not die: a call must not wait for another worker for ever."""
    _, (worker,) = mesh.start_mesh(1)
    client = mesh.client()
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(client.call, WAIT, Wait(1.0)) for _ in range(2)]
        until(lambda: running(client) == 2)
        worker.send_signal(signal.SIGSTOP)
        mesh.wait_workers(0)
        worker.send_signal(signal.SIGCONT)
        assert [call.result().pid for call in calls] == [worker.pid] * 2
    assert client.call(ECHO, Blob("x")).text == "x"


def under_load(client: Client, stop: threading.Event, failures: list[BaseException]) -> int:
    num = 0
    while not stop.is_set():
        try:
            client.call(STEP, Wait(0.005))
            num += 1
        except errors.RagqError as error:
            failures.append(error)
    return num


def test_a_worker_told_to_leave_under_load_loses_no_call(mesh: Processes) -> None:
    _, workers = mesh.start_mesh(2)
    client, stop, failures = mesh.client(), threading.Event(), list[BaseException]()
    with ThreadPoolExecutor(6) as pool:
        loads = [pool.submit(under_load, client, stop, failures) for _ in range(6)]
        for _ in range(2):
            time.sleep(0.2)
            leaving = workers.pop(0)
            leaving.terminate()
            assert leaving.wait(10) == 0
            workers.append(mesh.start("worker"))
            mesh.wait_workers(2)
        stop.set()
        num = sum(load.result() for load in loads)
    assert failures == []
    assert num > 50


def test_a_proxy_told_to_leave_ends_what_it_has(mesh: Processes) -> None:
    proxy, _ = mesh.start_mesh(2)
    client = mesh.client()
    with ThreadPoolExecutor(32) as pool:
        calls = [pool.submit(client.call, STEP, Wait(0.5)) for _ in range(32)]
        until(lambda: client.status().num_calls == 32)
        proxy.terminate()
        assert all(call.result().pid for call in calls)
        assert proxy.wait(10) == 0


def test_a_proxy_that_is_killed_and_started_again_finds_its_workers(mesh: Processes) -> None:
    proxy, workers = mesh.start_mesh(2)
    client = mesh.client()
    client.call(ECHO, Blob())
    with ThreadPoolExecutor(5) as pool:
        lost = [pool.submit(client.call, STEP, Wait(3.0)) for _ in range(4)]
        until(lambda: running(client) == 4)
        kept = pool.submit(client.call, WAIT, Wait(0.3))
        proxy.kill()
        mesh.start("proxy")
        assert {type(call.exception()) for call in lost} == {errors.ConnectionLost}
        assert kept.exception() is None or isinstance(kept.exception(), errors.Unreachable)  # a start may take long
    mesh.wait_workers(2)
    assert client.call(ECHO, Blob("again")).text == "again"
    assert all(worker.poll() is None for worker in workers)


def test_a_client_that_is_killed_leaves_no_work_behind(mesh: Processes) -> None:
    import subprocess
    import sys

    mesh.start_mesh(1)
    client = mesh.client()
    code = (
        "import sys; from clients import Client; from tests.mesh.trial import WAIT, Wait;"
        "Client(sys.argv[1]).call_many(WAIT, [Wait(30)] * 4)"
    )
    caller = subprocess.Popen([sys.executable, "-c", code, mesh.address])
    until(lambda: running(client) == 4)
    caller.kill()
    caller.wait(10)
    until(lambda: running(client) == 0, 4)
    assert client.call(SEEN, Nothing()).cancelled == 4
