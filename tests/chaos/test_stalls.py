"""What callers see when a handler, a reader or an interpreter stands still: nobody else waits with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clients import Client, errors
from clients.wire import STREAM_CREDIT, Nothing
from tests.chaos.conftest import Measured
from tests.mesh.processes import Processes, processes, until
from tests.mesh.trial import COUNT, ECHO, FREEZE, IGNORE, SEEN, STEP, WAIT, Blob, Count, Wait

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]
MIB = 1 << 20


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path) as mesh:
        yield mesh


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Processes]:
    """Its workers take one call at a time."""
    with processes(tmp_path, slots=1) as mesh:
        yield mesh


def states(client: Client) -> dict[int, str]:
    return {worker.pid: worker.state for worker in client.status().workers}


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_a_worker_whose_interpreter_is_held_keeps_its_calls_and_gets_no_new_ones(mesh: Processes) -> None:
    mesh.start_mesh(2)
    client = mesh.client(timeout_s=60)
    with ThreadPoolExecutor(1) as pool:
        frozen = pool.submit(client.call, FREEZE, Wait(5.0))
        until(lambda: "suspect" in states(client).values())
        (pid,) = [pid for pid, state in states(client).items() if state == "suspect"]
        others = set()
        while states(client)[pid] == "suspect":
            answered = client.call(WAIT, Wait()).pid
            if states(client)[pid] == "suspect":
                others.add(answered)
        assert others
        assert pid not in others
        assert frozen.result().pid == pid
    until(lambda: set(states(client).values()) == {"ready"})
    assert client.status().num_requeued == 0


def test_a_stopped_worker_is_noticed_and_its_calls_are_answered_once(mesh: Processes, measured: Measured) -> None:
    _, workers = mesh.start_mesh(2)
    client = mesh.client(timeout_s=60)
    with ThreadPoolExecutor(16) as pool:
        calls = [pool.submit(client.call, WAIT, Wait(0.5)) for _ in range(16)]
        until(lambda: client.status().running == 16)
        workers[0].send_signal(signal.SIGSTOP)
        began = time.monotonic()
        mesh.wait_workers(1)
        measured("a stopped worker is noticed", time.monotonic() - began, "s")
        assert {call.result().pid for call in calls} == {workers[1].pid}
    workers[0].send_signal(signal.SIGCONT)
    mesh.wait_workers(2)
    until(lambda: client.call(WAIT, Wait()).pid == workers[0].pid)
    status = client.status()
    assert status.num_requeued == 8
    assert (status.num_failed, status.running, status.queued) == (0, 0, 0)


def test_a_caller_is_told_in_time_of_a_handler_that_goes_on_and_its_slot_is_free_when_it_ends(
    narrow: Processes,
) -> None:
    narrow.start_mesh(1)
    client = narrow.client(timeout_s=60)
    client.call(ECHO, Blob())
    began = time.monotonic()
    with pytest.raises(errors.DeadlineExceeded):
        client.call(IGNORE, Wait(4.0), timeout_s=0.5)
    assert time.monotonic() - began < 3
    assert client.status().workers[0].running == 1
    assert client.call(ECHO, Blob("free")).text == "free"
    assert time.monotonic() - began >= 4.0


def test_a_reader_who_stands_still_costs_the_proxy_no_memory_and_the_others_no_time(
    mesh: Processes, measured: Measured
) -> None:
    proxy, _ = mesh.start_mesh(1)
    slow, quick = mesh.client(timeout_s=60), mesh.client(timeout_s=60)
    quiet_s = seconds_of_a_stream(quick)
    before = resident(proxy.pid)
    with slow.stream(COUNT, Count(2000, size=30_000)) as numbers:
        assert next(numbers).value == 0
        until(lambda: quick.call(SEEN, Nothing()).emitted % 1000 == STREAM_CREDIT)
        beside_s = min(seconds_of_a_stream(quick) for _ in range(3))
        grown = resident(proxy.pid) - before
    measured("a stream beside a reader who stands still takes", beside_s / quiet_s, "times as long")
    measured("the proxy grew by", grown / MIB, "MiB")
    assert grown < 16 * MIB
    assert beside_s < 4 * quiet_s + 0.5


def seconds_of_a_stream(client: Client) -> float:
    began = time.monotonic()
    assert sum(1 for _ in client.stream(COUNT, Count(1000))) == 1000
    return time.monotonic() - began


READER = """
import sys
from clients import Client
from tests.mesh.trial import COUNT, Count
for number in Client(sys.argv[1]).stream(COUNT, Count(10**9, size=1000)):
    print(number.value, flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_a_reader_that_is_killed_or_stopped_leaves_no_work_behind(
    mesh: Processes, how: signal.Signals, measured: Measured
) -> None:
    from tests.conftest import ROOT

    proxy, _ = mesh.start_mesh(1)
    client = mesh.client()
    reader = subprocess.Popen([sys.executable, "-c", READER, mesh.address], stdout=subprocess.PIPE, cwd=ROOT)
    assert reader.stdout is not None
    with reader, reader.stdout:
        assert reader.stdout.readline() == b"0\n"
        before = resident(proxy.pid)
        reader.send_signal(how)
        began = time.monotonic()
        until(lambda: client.status().running == 0)
        measured(f"the work of a reader that was {how.name} ends", time.monotonic() - began, "s")
        reader.kill()
    assert resident(proxy.pid) - before < 16 * MIB
    emitted = client.call(SEEN, Nothing()).emitted
    assert client.call(STEP, Wait(0.5)).pid
    assert client.call(SEEN, Nothing()).emitted == emitted
