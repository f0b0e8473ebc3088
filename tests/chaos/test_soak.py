"""Half a minute, or ten, of stalls, kills, cancels, readers fast and slow, all at once: nothing aborts or grows."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from clients import Client, RagqError
from tests.chaos.conftest import Measured
from tests.chaos.test_stalls import MIB, resident
from tests.mesh.processes import Process, Processes, processes, until
from tests.mesh.trial import COUNT, ECHO, STEP, UPLOAD, WAIT, Blob, Count, Number, Wait

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
NUM_WORKERS = 3
ENDED_AS_TOLD = {0, -signal.SIGKILL, -signal.SIGTERM}
LENGTHS = [pytest.param(30.0, id="half a minute"), pytest.param(600.0, id="ten minutes", marks=pytest.mark.slow)]


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path, num_proxies=2) as mesh:
        yield mesh


def echo(client: Client, chance: random.Random) -> None:
    blob = Blob(data=chance.randbytes(chance.choice((10, 1000, 100_000, 2_000_000))))
    assert client.call(ECHO, blob).data == blob.data


def give_up(client: Client, _chance: random.Random) -> None:
    client.call(WAIT, Wait(0.2), timeout_s=0.05)


def hold(client: Client, _chance: random.Random) -> None:
    client.call(STEP, Wait(0.1))


def read(client: Client, chance: random.Random) -> None:
    """To the end, slowly, or not at all for a while; or leave."""
    pause_s, stay = chance.choice((0.0, 0.0, 0.01)), chance.choice((5, 100, 100))
    with client.stream(COUNT, Count(100, size=60_000)) as numbers:
        for expected, number in enumerate(numbers):
            assert number.value == expected
            time.sleep(2.0 if expected == 40 and chance.random() < 0.2 else pause_s)
            if expected == stay:
                return


def send(client: Client, chance: random.Random) -> None:
    count = chance.randint(1, 100)
    chunks = (Number(i, bytes(50_000)) for i in range(count))
    assert client.stream(UPLOAD, Wait(0.001), input=chunks).reply.num_chunks == count


CALLERS = (echo, echo, give_up, hold, read, read, send)


class Callers:
    """Threads that call until they are told to stop, and what they met."""

    def __init__(self, mesh: Processes) -> None:
        self.ends, self.defects = Counter[str](), list[BaseException]()
        self._is_over, self._lock = threading.Event(), threading.Lock()
        clients = [mesh.client(timeout_s=60) for _ in range(3)]
        self._threads = [
            threading.Thread(target=self._go_on, args=(clients[number % 3], kind, random.Random(number)))
            for number, kind in enumerate(CALLERS)
        ]
        for thread in self._threads:
            thread.start()

    def _go_on(self, client: Client, kind: Callable[[Client, random.Random], None], chance: random.Random) -> None:
        while not self._is_over.is_set():
            end = "answered"
            try:
                kind(client, chance)
            except RagqError as error:
                end = type(error).__name__
            except BaseException as defect:  # noqa: BLE001 - it is shown by the test
                self.defects.append(defect)
                return
            with self._lock:
                self.ends[f"{kind.__name__}: {end}"] += 1

    def stop(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(120)
        assert not any(thread.is_alive() for thread in self._threads)


def trouble(mesh: Processes, workers: list[Process], chance: random.Random) -> None:
    """Kill a worker and start another, or let one stand still for longer than its proxies wait."""
    number = chance.randrange(len(workers))
    if chance.random() < 0.5:
        workers[number].kill()
        workers[number] = mesh.start("worker")
    else:
        workers[number].send_signal(signal.SIGSTOP)
        time.sleep(chance.choice((0.3, 2.5)))
        workers[number].send_signal(signal.SIGCONT)


@pytest.mark.parametrize("seconds", LENGTHS)
def test_nothing_aborts_hangs_or_grows_under_everything_at_once(
    mesh: Processes, seconds: float, measured: Measured
) -> None:
    mesh.start_mesh(NUM_WORKERS)
    proxies, workers, chance = mesh.started[:2], mesh.started[2:], random.Random(1)
    callers, began, warm = Callers(mesh), time.monotonic(), 0
    while time.monotonic() < began + seconds:
        trouble(mesh, workers, chance)
        time.sleep(1.0)
        if not warm and time.monotonic() > began + seconds / 3:
            warm = sum(resident(proxy.pid) for proxy in proxies)
    for worker in workers:
        with suppress(ProcessLookupError):
            worker.send_signal(signal.SIGCONT)
    callers.stop()
    grown = sum(resident(proxy.pid) for proxy in proxies) - warm
    measured("calls in the soak", callers.ends.total(), "")
    measured("both proxies grew by", grown / MIB, "MiB")
    assert callers.defects == []
    assert {process.poll() for process in mesh.started} <= {None, *ENDED_AS_TOLD}
    assert all(process.poll() is None for process in proxies)
    assert "ssertion" not in mesh.log()
    assert grown < 40 * MIB
    mesh.wait_workers(NUM_WORKERS)
    until(lambda: all(is_idle(mesh, number) for number in range(2)))
    for kind in {kind.__name__ for kind in CALLERS} - {"give_up"}:
        assert callers.ends[f"{kind}: answered"] > 0


def is_idle(mesh: Processes, number: int) -> bool:
    status = mesh.status(number)
    return status is not None and (status.running, status.queued) == (0, 0)
