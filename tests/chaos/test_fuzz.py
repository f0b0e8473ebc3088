"""A hundred thousand messages that are almost right harm nobody: not the proxy, not a worker, not a client."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import pytest
import zmq

from clients import Client, RagqError, sockets
from clients.wire import Envelope, Kind, decode
from tests.chaos.conftest import Measured
from tests.chaos.test_stalls import MIB, resident
from tests.conftest import ROOT, free_ports
from tests.mesh.mutations import almost_right
from tests.mesh.processes import Processes, processes, until
from tests.mesh.raw import answer_to, greeted
from tests.mesh.trial import COUNT, ECHO, Blob, Count

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]
NUM_ROUNDS, NUM_WARM = 50, 10
MOST_GROWTH = 5 * MIB


class Attacker:
    """The program at one side of the proxy."""

    def __init__(self, side: str, address: str) -> None:
        command = [sys.executable, "-m", "tests.chaos.attacker", side, address, "1"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def begin(self) -> None:
        """A thousand messages more."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def is_done(self) -> bool:
        """Wait until the proxy has read them."""
        assert self.process.stdout is not None
        return self.process.stdout.readline() == "done\n"


@contextmanager
def attackers(mesh: Processes) -> Iterator[list[Attacker]]:
    both = [Attacker("front", mesh.address), Attacker("back", mesh.back)]
    try:
        yield both
    finally:
        for each in both:
            with each.process:
                assert each.process.stdin is not None
                each.process.stdin.close()
                each.process.wait(30)


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path) as mesh:
        yield mesh


def test_a_proxy_under_a_hundred_thousand_odd_messages_serves_others_as_ever(
    mesh: Processes, measured: Measured
) -> None:
    proxy, (worker,) = mesh.start_mesh(1)
    client = mesh.client(timeout_s=60)
    quiet, noisy = list[float](), list[float]()
    warm = 0
    with attackers(mesh) as both:
        for round_number in range(NUM_ROUNDS):
            quiet.extend(seconds_of_calls(client, 20))
            for attacker in both:
                attacker.begin()
            noisy.extend(seconds_of_calls(client, 20))
            assert all(attacker.is_done() for attacker in both)
            if round_number == NUM_WARM:
                warm = resident(proxy.pid)
    grown, ratio = resident(proxy.pid) - warm, p95(noisy) / p95(quiet)
    measured("a proxy under 100 000 odd messages grows by", grown / MIB, "MiB")
    measured("the p95 of a good client is, without them", p95(quiet) * 1000, "ms")
    measured("and beside them", ratio, "times as long")
    assert (proxy.poll(), worker.poll()) == (None, None)
    assert grown < MOST_GROWTH
    assert p95(noisy) < 20 * p95(quiet) + 0.1
    until(lambda: (client.status().running, client.status().queued) == (0, 0))
    assert [number.value for number in client.stream(COUNT, Count(100))] == list(range(100))


def seconds_of_calls(client: Client, count: int) -> list[float]:
    took = []
    for number in range(count):
        began = time.perf_counter()
        assert client.call(ECHO, Blob(str(number))).text == str(number)
        took.append(time.perf_counter() - began)
    return took


def p95(took: list[float]) -> float:
    return statistics.quantiles(took, n=20)[18]


def test_a_worker_under_odd_messages_from_its_proxy_answers_as_ever(tmp_path: Path, measured: Measured) -> None:
    with processes(tmp_path) as mesh:
        router = sockets.router(mesh.back)
        try:
            worker, warm = mesh.start("worker"), 0
            name = greeted(router)
            for batch in range(10):
                harass(router, name, batch)
                name = who_answers(router)
                warm = warm or (resident(worker.pid) if batch == 3 else 0)
            assert worker.poll() is None
            measured("a worker under 10 000 odd messages grows by", (resident(worker.pid) - warm) / MIB, "MiB")
            assert resident(worker.pid) - warm < 4 * MOST_GROWTH
        finally:
            router.close(0)


def harass(router: zmq.Socket[bytes], name: bytes, batch: int) -> None:
    """A thousand messages that are almost right; after a BYE the worker comes again under another name."""
    for number, frames in enumerate(islice(almost_right(batch), 1000)):
        route = (b"route\0\0\0\0", b"", b"x")[number % 3]
        if route == b"" and frames[0][3:4] == bytes([Kind.ERROR]):
            continue  # a worker that is not let in stays away for half a minute, as it should
        try:
            router.send_multipart([name, route, *frames])
        except zmq.ZMQError:
            name = greeted(router)
    with suppress(zmq.ZMQError):  # it has just left, and will come again by itself
        router.send_multipart([name, b"", Envelope(Kind.RESET, 0).encode()])


def who_answers(router: zmq.Socket[bytes]) -> bytes:
    """The name under which the worker is there now; it has answered a call."""
    call = Envelope(Kind.CALL, 77_777, method=ECHO.key, ttl_ms=30_000, body=b"\x80").encode()
    while True:
        name = greeted(router)
        with suppress(zmq.ZMQError):  # an older name of the same worker
            router.send_multipart([name, b"client\0\0\0\0", call])
            assert answer_to(router, b"client\0\0\0\0", 77_777).kind is Kind.REPLY
            return name


def test_a_client_under_odd_messages_from_its_proxy_ends_every_call(measured: Measured) -> None:
    address = f"tcp://127.0.0.1:{free_ports(1)[0]}"
    router, ends = sockets.router(address), Counter[str]()
    try:
        with Client(address) as client, ThreadPoolExecutor(1) as pool:
            for seed in range(20):
                call = pool.submit(client.call, ECHO, Blob(), timeout_s=0.5)
                answer_oddly(router, seed, call.done)
                ends["answered" if call.exception() is None else type(call.exception()).__name__] += 1
                assert call.exception() is None or isinstance(call.exception(), RagqError)
    finally:
        router.close(0)
    assert ends.total() == 20
    measured("calls among odd answers that were answered by chance", ends["answered"], "of 20")


def answer_oddly(router: zmq.Socket[bytes], seed: int, is_over: Callable[[], bool]) -> None:
    """Send every CALL that comes two hundred messages that are almost right, some of them meant for this very call."""
    while not is_over():
        if not router.poll(20):
            continue
        peer, frame, *_ = router.recv_multipart()
        if (envelope := decode(frame)).kind is Kind.CALL:
            for number, frames in enumerate(islice(almost_right(seed), 200)):
                if number % 4 == 0:
                    frames[0] = frames[0][:8].ljust(8) + envelope.id.to_bytes(8, "little") + frames[0][16:]
                with suppress(zmq.ZMQError):  # it has broken off the connection
                    router.send_multipart([peer, *frames])
