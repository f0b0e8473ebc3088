"""A quarter of a gibibyte passes a proxy in either direction: little memory, and others do not wait for it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clients import Client, errors
from tests.chaos.conftest import Measured
from tests.chaos.test_stalls import MIB
from tests.conftest import ROOT
from tests.mesh.processes import Processes, processes, until
from tests.mesh.trial import COUNT, ECHO, UPLOAD, Blob, Count, Number, Wait

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]
NUM_CHUNKS = 256
CHUNK = bytes(range(256)) * 4096


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path) as mesh:
        yield mesh


def most_memory(pid: int) -> int:
    """The largest that a process has been."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024


def download(client: Client) -> int:
    return sum(len(number.data) for number in client.stream(COUNT, Count(NUM_CHUNKS, len(CHUNK))))


def upload(client: Client) -> int:
    chunks = (Number(i, CHUNK) for i in range(NUM_CHUNKS))
    return client.stream(UPLOAD, Wait(), input=chunks).reply.num_bytes


def call_on(client: Client, took: list[float], is_over: threading.Event) -> None:
    while not is_over.is_set():
        began = time.monotonic()
        client.call(ECHO, Blob("beside"))
        took.append(time.monotonic() - began)


@pytest.mark.parametrize("move", [download, upload])
def test_a_large_stream_leaves_memory_and_time_to_others(
    mesh: Processes, move: Callable[[Client], int], measured: Measured
) -> None:
    proxy, _ = mesh.start_mesh(1)
    mover, other = mesh.client(timeout_s=200), mesh.client(timeout_s=200)
    took, is_over = list[float](), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(call_on, other, took, is_over)
        began = time.monotonic()
        try:
            assert move(mover) == NUM_CHUNKS * len(CHUNK)
        finally:
            is_over.set()
        seconds = time.monotonic() - began
        beside.result()
    measured(f"{move.__name__} of 256 MiB", seconds, "s")
    measured("the proxy had at most", most_memory(proxy.pid) / MIB, "MiB")
    measured("another client waited at most", max(took), "s")
    assert most_memory(proxy.pid) < 128 * MIB
    assert max(took) < 8


def test_a_slow_taker_holds_its_sender_back_and_not_the_proxys_memory(mesh: Processes) -> None:
    proxy, _ = mesh.start_mesh(1)
    client, given = mesh.client(timeout_s=100), 0

    def chunks() -> Iterator[Number]:
        nonlocal given
        for given in range(64):
            yield Number(given, CHUNK)

    stream = client.stream(UPLOAD, Wait(0.1), input=chunks())
    until(lambda: given > 4)
    time.sleep(0.5)
    assert given < 40
    assert stream.reply.num_chunks == 64
    assert most_memory(proxy.pid) < 128 * MIB


def test_a_sender_is_told_when_its_worker_is_killed(mesh: Processes) -> None:
    _, (worker,) = mesh.start_mesh(1)
    client, given = mesh.client(timeout_s=100), threading.Event()

    def chunks() -> Iterator[Number]:
        for value in range(10_000):
            if value == 20:
                given.set()
            yield Number(value, b"x")

    stream = client.stream(UPLOAD, Wait(0.01), input=chunks())
    assert given.wait(20)
    worker.kill()
    with pytest.raises(errors.WorkerLost):
        _ = stream.reply


SENDER = """
import sys
from clients import Client
from tests.mesh.trial import UPLOAD, Number, Wait
def chunks():
    value = 0
    while True:
        print(value, flush=True)
        yield Number(value, b"x" * 1000)
        value += 1
Client(sys.argv[1]).stream(UPLOAD, Wait(0.001), input=chunks()).reply
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_a_sender_that_is_killed_or_stopped_leaves_no_work_behind(mesh: Processes, how: signal.Signals) -> None:
    mesh.start_mesh(1)
    client = mesh.client()
    sender = subprocess.Popen([sys.executable, "-c", SENDER, mesh.address], stdout=subprocess.PIPE, cwd=ROOT)
    assert sender.stdout is not None
    with sender, sender.stdout:
        assert sender.stdout.readline() == b"0\n"
        until(lambda: client.status().running == 1)
        sender.send_signal(how)
        until(lambda: client.status().running == 0)
        sender.kill()
    assert client.call(ECHO, Blob("on")).text == "on"
