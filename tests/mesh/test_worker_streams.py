"""What workers do with streams, stalls and two proxies: real processes, real kills."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from clients import Client, errors
from clients.memory import resident_bytes
from clients.wire import Method, Nothing
from services.service import Call, Service, serves
from tests.mesh.processes import Processes, processes, until
from tests.mesh.trial import ECHO, FREEZE, WAIT, Blob, Wait

pytestmark = pytest.mark.mesh
MEBI = 1 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an upload."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """How many bytes came, and the memory of the worker at its worst."""

    num_bytes: int
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Upload:
    """How long to rest after each piece, and how many to take; 0 means all."""

    pause_s: float = 0.0
    at_most: int = 0


UPLOAD = Method("depot.upload", Upload, Stored, Nothing, idempotent=False, input=Part)


class Depot(Service):
    """Takes uploads."""

    name = "depot"

    @serves(UPLOAD)
    def upload(self, request: Upload, call: Call) -> Stored:
        total = taken = 0
        peak = resident_bytes()
        for part in call.input:
            total, taken = total + len(part.data), taken + 1
            peak = max(peak, resident_bytes())
            call.cancelled.wait(request.pause_s)
            if taken == request.at_most:
                break
        return Stored(total, peak)


@pytest.fixture
def depot(tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path, "tests.mesh.test_worker_streams:Depot", "depot") as mesh:
        mesh.start_mesh(1)
        yield mesh


def parts(count: int) -> Iterator[Part]:
    return (Part(bytes(MEBI)) for _ in range(count))


def test_a_worker_takes_a_long_upload_in_little_memory(depot: Processes) -> None:
    client = depot.client(timeout_s=50)
    before = client.stream(UPLOAD, Upload(), input=parts(1)).reply.peak_bytes
    stored = client.stream(UPLOAD, Upload(pause_s=0.01), input=parts(64), timeout_s=50).reply
    assert stored.num_bytes == 64 * MEBI
    assert stored.peak_bytes - before < 32 * MEBI


def test_a_handler_that_has_enough_ends_the_upload(depot: Processes) -> None:
    given: list[int] = []

    def endless() -> Iterator[Part]:
        for number in range(100_000):
            given.append(number)
            yield Part(bytes(MEBI))

    stored = depot.client().stream(UPLOAD, Upload(at_most=2), input=endless(), timeout_s=50).reply
    assert stored.num_bytes == 2 * MEBI
    assert len(given) < 40


def test_a_handler_that_waits_for_an_upload_gives_its_slot_back_when_the_caller_leaves(depot: Processes) -> None:
    client, is_over = depot.client(), threading.Event()

    def held() -> Iterator[Part]:
        yield Part(b"x")
        is_over.wait(50)

    stream = client.stream(UPLOAD, Upload(), input=held(), timeout_s=50)
    until(lambda: client.status().running == 1)
    stream.close()
    until(lambda: client.status().running == 0)
    is_over.set()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path, num_proxies=2, slots=4) as mesh:
        for number in range(2):
            mesh.start("proxy", number=number)
        mesh.start("worker")
        for front in mesh.fronts:
            until(lambda front=front: slots_at(front) == 2)
        yield mesh


def slots_at(front: str) -> int:
    """The slots that a proxy was told of; 0 while it knows no worker."""
    with Client(front) as client:
        try:
            return sum(worker.slots for worker in client.status(1.0).workers)
        except errors.RagqError:
            return 0


def test_the_slots_of_a_killed_proxy_go_to_the_other_until_it_is_back(pair: Processes) -> None:
    worker = pair.started[2]
    with Client(pair.fronts[1], timeout_s=30) as other, ThreadPoolExecutor(1) as pool:
        held = pool.submit(other.call, WAIT, Wait(2.0))
        until(lambda: other.status().running == 1)
        pair.started[0].kill()
        until(lambda: slots_at(pair.fronts[1]) == 4)
        assert held.result().pid == worker.pid
    pair.start("proxy", number=0)
    for front in pair.fronts:
        until(lambda front=front: slots_at(front) == 2)
    assert worker.poll() is None


def test_a_worker_that_holds_the_interpreter_keeps_its_calls(tmp_path: Path) -> None:
    with processes(tmp_path) as mesh:
        _, (worker,) = mesh.start_mesh(1)
        client, began = mesh.client(timeout_s=40), tmp_path / "began"
        with ThreadPoolExecutor(2) as pool:
            waits = pool.submit(client.call, WAIT, Wait(0.5))
            freezes = pool.submit(client.call, FREEZE, Wait(4.0, str(began)))
            until(began.exists)
            assert freezes.result().pid == worker.pid
            assert waits.result().pid == worker.pid
        assert client.call(ECHO, Blob("alive")).text == "alive"
        status = client.status()
        assert (status.num_failed, status.num_requeued, worker.poll()) == (0, 0, None)


def test_a_worker_comes_to_a_restarted_proxy_by_itself(tmp_path: Path) -> None:
    with processes(tmp_path) as mesh:
        proxy, (worker,) = mesh.start_mesh(1)
        proxy.kill()
        proxy.wait(10)
        began = time.monotonic()
        mesh.start("proxy")
        mesh.wait_workers(1)
        assert time.monotonic() - began < 20
        assert mesh.client().call(WAIT, Wait()).pid == worker.pid
