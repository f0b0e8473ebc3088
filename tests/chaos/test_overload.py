"""What callers see when more comes in than can be done: every call has one answer, in time, and memory is bounded."""

from __future__ import annotations

import resource
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zmq

from clients import Client, errors
from clients.packing import pack
from clients.wire import MAX_UNARY, Envelope, Kind, decode, message, read_failure
from tests.chaos.conftest import Measured
from tests.chaos.test_stalls import MIB, resident
from tests.mesh.processes import Process, Processes, processes, until
from tests.mesh.raw import answer_from, raw_dealer
from tests.mesh.trial import ECHO, STEP, WAIT, Blob, Wait

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]
REFUSED = {"QUEUE_FULL", "CLIENT_LIMIT"}


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path, slots=1) as mesh:
        yield mesh


def outcomes(dealer: zmq.Socket[bytes], count: int, within_s: float) -> list[tuple[int, str, float]]:
    """Id, reason and moment of so many answers."""
    heard: list[tuple[int, str, float]] = []
    deadline = time.monotonic() + within_s
    while len(heard) < count:
        assert dealer.poll(max(0, int((deadline - time.monotonic()) * 1000))), f"{len(heard)} of {count} were answered"
        envelope = decode(dealer.recv_multipart()[0])
        if envelope.kind in (Kind.REPLY, Kind.ERROR):
            reason = read_failure(envelope).reason if envelope.kind is Kind.ERROR else "OK"
            heard.append((envelope.id, reason, time.monotonic()))
    return heard


def test_each_of_five_thousand_calls_at_once_is_answered_once_and_none_late(
    mesh: Processes, measured: Measured
) -> None:
    proxy, _ = mesh.start_mesh(1)
    before, count, ttl_s = resident(proxy.pid), 5000, 2.0
    payload = pack(Wait(0.02))
    with raw_dealer(mesh.address) as dealer:
        for call_id in range(1, count + 1):
            head = Envelope(Kind.CALL, call_id, method=WAIT.key, ttl_ms=int(ttl_s * 1000))
            dealer.send_multipart(message(head, payload))
        sent = time.monotonic()
        heard = outcomes(dealer, count, 60)
        assert not dealer.poll(300), "a call was answered twice"
    reasons = Counter(reason for _, reason, _ in heard)
    late_s = max(moment for _, _, moment in heard) - sent - ttl_s
    measured("the last of 5000 answers comes after the deadline", late_s * 1000, "ms")
    measured("the proxy grew by", (resident(proxy.pid) - before) / MIB, "MiB")
    assert sorted(call_id for call_id, _, _ in heard) == list(range(1, count + 1))
    assert reasons.keys() <= {"OK", "EXPIRED", *REFUSED}
    assert reasons["OK"] > 10
    assert late_s < 4
    answered = [call_id for call_id, reason, _ in heard if reason == "OK"]
    assert answered == sorted(answered), "the calls of one client are served in order"


def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(mesh: Processes, measured: Measured) -> None:
    proxy, _ = mesh.start_mesh(1)
    busy, empty = mesh.client(timeout_s=60), resident(proxy.pid)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(busy.call, STEP, Wait(5.0))
        until(lambda: busy.status().running == 1)
        floods = [raw_dealer(mesh.address) for _ in range(8)]
        for flood in floods:
            for call_id in range(200):
                head = Envelope(Kind.CALL, call_id, method=STEP.key, ttl_ms=60_000)
                flood.send_multipart(message(head, pack(Wait(mark="x" * 1000))))
        until(lambda: busy.status().queued == 1000)
        measured("a call of 1 KB that waits takes", (resident(proxy.pid) - empty) / 1000 / 1024, "KiB")
        took = []
        with raw_dealer(mesh.address) as late:
            for call_id in range(50):
                began = time.monotonic()
                late.send_multipart(message(Envelope(Kind.CALL, call_id, method=STEP.key, ttl_ms=60_000), pack(Wait())))
                refusal = read_failure(answer_from(late))
                took.append(time.monotonic() - began)
                assert refusal.reason == "QUEUE_FULL"
                assert refusal.retry_after_s > 0
        measured("a refusal takes at the median", sorted(took)[25] * 1000, "ms")
        assert sorted(took)[25] < 0.5
        assert held.result().pid
        for flood in floods:
            flood.close(0)
    until(lambda: busy.status().queued == 0)


def test_one_clients_pile_of_calls_does_not_keep_another_waiting(mesh: Processes, measured: Measured) -> None:
    mesh.start_mesh(1)
    greedy, modest = mesh.client(timeout_s=60), mesh.client(timeout_s=60)
    with ThreadPoolExecutor(200) as pool:
        pile = [pool.submit(greedy.call, WAIT, Wait(0.02)) for _ in range(200)]
        until(lambda: greedy.status().queued > 150)
        began = time.monotonic()
        for _ in range(5):
            modest.call(WAIT, Wait(0.02))
        left = sum(not call.done() for call in pile)
        measured("five calls beside a pile of two hundred take", time.monotonic() - began, "s")
        assert left > 50
        assert all(call.result().pid for call in pile)


def test_memory_stays_bounded_when_large_calls_wait(mesh: Processes) -> None:
    proxy, _ = mesh.start_mesh(1)
    client, blob = mesh.client(timeout_s=60), Blob(data=bytes(MAX_UNARY - 100_000))
    with ThreadPoolExecutor(24) as pool:
        held = pool.submit(mesh.client(timeout_s=60).call, STEP, Wait(3.0))
        until(lambda: client.status().running == 1)
        large = [pool.submit(client.call, ECHO, blob) for _ in range(23)]
        most = 0
        while not held.done():
            most = max(most, resident(proxy.pid))
            time.sleep(0.02)
        kinds = Counter(type(call.exception()) for call in large)
    assert kinds.keys() <= {type(None), errors.Busy, errors.OverLimit}
    assert kinds[type(None)] >= 1
    assert most < 400 * MIB


def limit_memory(process: Process, more: int) -> None:
    """Let a process grow by so many bytes and no further, as a container does."""
    size = int(Path(f"/proc/{process.pid}/statm").read_text().split()[0]) * 4096
    resource.prlimit(process.pid, resource.RLIMIT_AS, (size + more, size + more))


def test_a_proxy_with_little_memory_refuses_before_it_has_none(mesh: Processes, measured: Measured) -> None:
    proxy, _ = mesh.start_mesh(1)
    assert mesh.client().call(ECHO, Blob("warm")).text == "warm"
    limit_memory(proxy, 300 * MIB)
    blob, ends = Blob(data=bytes(4 * MIB)), Counter[str]()
    clients = [mesh.client(timeout_s=20) for _ in range(8)]
    with ThreadPoolExecutor(64) as pool:
        holds = pool.submit(mesh.client(timeout_s=60).call, STEP, Wait(5.0))
        until(lambda: clients[0].status().running == 1)
        calls = [pool.submit(clients[number % 8].call, ECHO, blob, timeout_s=10) for number in range(192)]
        ends.update("answered" if call.exception() is None else type(call.exception()).__name__ for call in calls)
        assert holds.result().pid
    measured("calls of 4 MiB that were refused", ends["Busy"] + ends["OverLimit"], "of 192")
    assert proxy.poll() is None
    assert ends.keys() <= {"answered", "Busy", "OverLimit", "DeadlineExceeded"}
    assert ends["Busy"] + ends["OverLimit"] > 0
    assert clients[0].call(ECHO, Blob("on")).text == "on"


def test_many_threads_that_come_and_go_leave_nothing_behind(mesh: Processes) -> None:
    """Calls, streams that are left, calls that run out of time: afterwards every slot is free again."""
    mesh.start_mesh(3)
    client, ends = mesh.client(timeout_s=60), Counter[str]()
    lock = threading.Lock()

    def one(number: int) -> None:
        end = outcome_of(client, number)
        with lock:
            ends[end] += 1

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(one, range(1000)))
    assert ends.total() == 1000
    assert ends.keys() <= {"answered", "left", "DeadlineExceeded"}
    until(lambda: (client.status().running, client.status().queued) == (0, 0))
    assert client.call(ECHO, Blob("x")).text == "x"


def outcome_of(client: Client, number: int) -> str:
    from tests.mesh.trial import COUNT, Count

    match number % 3:
        case 0:
            return "answered" if client.call(ECHO, Blob(str(number))).text == str(number) else "another's answer"
        case 1:
            with client.stream(COUNT, Count(100)) as numbers:
                return "left" if next(numbers).value == 0 else "another's chunk"
    try:
        client.call(WAIT, Wait(0.05), timeout_s=0.02)
    except errors.RagqError as error:
        return type(error).__name__
    return "answered"
