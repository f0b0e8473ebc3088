"""Calls between real processes: beginnings, endings, forks, and frames that are none."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import zmq

from clients import Client, RagqError, errors, sockets
from clients.athreads import Threads
from clients.greetings import Ready
from clients.packing import pack
from clients.pending import pending
from clients.wire import Envelope, Kind, Nothing, decode, method_key
from tests.conftest import ROOT, free_ports
from tests.mesh.processes import Process, Processes, processes, until
from tests.mesh.raw import answer_from, answer_to, greeted, is_status, odd_messages, raw_dealer
from tests.mesh.trial import COUNT, ECHO, SEEN, WAIT, Blob, Count, Wait

pytestmark = pytest.mark.mesh


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with processes(tmp_path_factory.mktemp("transport")) as mesh:
        mesh.start_mesh(1)
        yield mesh


@pytest.fixture
def client(mesh: Processes) -> Iterator[Client]:
    with Client(mesh.address, timeout_s=10) as client:
        yield client


def run_python(code: str, *arguments: str, timeout_s: float = 20) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, env=environment, check=False)


FORK = """
import os, sys
from clients import Client
from tests.mesh.trial import ECHO, Blob

client = Client(sys.argv[1])
print(client.call(ECHO, Blob("parent")).text, flush=True)
child = os.fork()
if child == 0:
    print(client.call(ECHO, Blob("child")).text, flush=True)
    client.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(client.call(ECHO, Blob("parent again")).text, flush=True)
client.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_may_go_on_calling(mesh: Processes) -> None:
    done = run_python(FORK, mesh.address)
    assert (done.stdout.splitlines(), done.stderr) == (["parent", "child", "parent again"], "")


def test_a_program_that_ends_with_calls_under_way_ends_at_once(mesh: Processes) -> None:
    code = (
        "import sys, threading; from clients import Client; from tests.mesh.trial import WAIT, Wait;"
        "c = Client(sys.argv[1]);"
        "[threading.Thread(target=c.call, args=(WAIT, Wait(30)), daemon=True).start() for _ in range(4)];"
        "import time; time.sleep(0.3)"
    )
    began = time.monotonic()
    assert run_python(code, mesh.address).returncode == 0
    assert time.monotonic() - began < 5
    with Client(mesh.address) as client:
        until(lambda: client.status().running == 0, 5)


async def test_a_cancelled_task_cancels_its_call_at_the_worker(client: Client) -> None:
    threads = Threads()
    cancelled = client.call(SEEN, Nothing()).cancelled
    tasks = [asyncio.create_task(threads.run(lambda: client.call(WAIT, Wait(30)))) for _ in range(3)]
    many = asyncio.create_task(threads.run(lambda: client.call_many(WAIT, [Wait(30)] * 3)))
    await asyncio.to_thread(until, lambda: client.status().running == 6)
    for task in (*tasks, many):
        task.cancel()
    for task in (*tasks, many):
        with pytest.raises(asyncio.CancelledError):
            await task
    await asyncio.to_thread(until, lambda: client.status().running == 0, 3)
    assert client.call(SEEN, Nothing()).cancelled == cancelled + 6
    threads.close()


async def test_a_task_cancelled_while_it_waits_for_a_streams_event_cancels_the_stream(client: Client) -> None:
    threads = Threads()
    stream = client.stream(COUNT, Count(10, pause_s=30))
    assert (await threads.run(lambda: next(stream))).value == 0
    task = asyncio.create_task(threads.run(lambda: next(stream)))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(until, lambda: client.status().running == 0, 3)
    threads.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_odd_frames_at_the_front_harm_nobody_else(mesh: Processes, client: Client, seed: int) -> None:
    with raw_dealer(mesh.address) as dealer:
        for message in odd_messages(seed):
            dealer.send_multipart(message)
        dealer.send(Envelope(Kind.STATUS, 99).encode())
        while not is_status(dealer):
            pass
    assert client.call(ECHO, Blob("fine")).text == "fine"
    (worker,) = client.status().workers
    until(lambda: client.status().running == 0, 5)
    assert worker.state == "ready"
    assert [line for line in mesh.log().splitlines() if not line.startswith("trial: ")] == []


def test_a_call_with_a_broken_body_is_refused_by_name(client: Client, mesh: Processes) -> None:
    with raw_dealer(mesh.address) as dealer:
        dealer.send(Envelope(Kind.CALL, 7, method=ECHO.key, ttl_ms=5000, body=b"\xc1").encode())
        answer = answer_from(dealer)
    assert (answer.kind, answer.id, answer.status) == (Kind.ERROR, 7, errors.BadRequest.code)


def test_a_message_of_another_protocol_version_is_told_so(mesh: Processes) -> None:
    other = Envelope(Kind.CALL, 7, method=ECHO.key).encode()
    with raw_dealer(mesh.address) as dealer:
        dealer.send(other[:2] + b"\x09" + other[3:])
        answer = answer_from(dealer)
    assert (answer.kind, answer.id, answer.status) == (Kind.ERROR, 7, errors.VersionMismatch.code)
    assert b"protocol version 9" in answer.meta


def test_a_stranger_at_the_back_is_asked_who_it_is_and_harms_nobody(mesh: Processes, client: Client) -> None:
    back = mesh.back
    with raw_dealer(back) as dealer:
        dealer.send_multipart([b"", Envelope(Kind.BEAT, 0, body=b"\xc1").encode()])
        dealer.send_multipart([b"", Envelope(Kind.READY, 0, body=b"\x80").encode()])
        dealer.send_multipart([b"someone\0\0\0\0", Envelope(Kind.REPLY, 1).encode()])
        for message in odd_messages(3):
            dealer.send_multipart(message)
        assert dealer.poll(5000)
        _, frame = dealer.recv_multipart()
        assert decode(frame).kind is Kind.RESET
    assert client.call(ECHO, Blob("fine")).text == "fine"


def test_a_worker_survives_odd_frames_from_its_proxy(tmp_path: Path) -> None:
    """A hand-made proxy: it greets a worker with nonsense, until that connects afresh; then it gives it a call."""
    odd = list(odd_messages(4))
    with processes(tmp_path) as mesh:
        router = sockets.router(mesh.back)
        try:
            mesh.start("worker")
            for i in range(12):
                worker, begin = greeted(router), [[], [b""], [b"route\0\0\0\0"]][i % 3]
                with suppress(zmq.ZMQError):  # it has hung up
                    for message in odd[i::12]:
                        router.send_multipart([worker, *begin, *message])
            worker = greeted(router)
            call = Envelope(Kind.CALL, 5, method=ECHO.key, ttl_ms=5000, body=b"\x80")
            router.send_multipart([worker, b"client\0\0\0\0", call.encode()])
            assert answer_to(router, b"client\0\0\0\0", 5).kind is Kind.REPLY
            assert mesh.started[0].poll() is None
        finally:
            router.close(0)


def test_a_client_survives_odd_answers(tmp_path: Path) -> None:
    """A hand-made proxy that answers with nonsense: the call ends with an error or by its time."""
    address = f"tcp://127.0.0.1:{free_ports(1)[0]}"
    router = sockets.router(address)
    try:
        with Client(address) as client:
            for answer in ([b"nonsense"], [b""], [Envelope(Kind.CHUNK, 1).encode()]):
                call = pending(ECHO, pack(Blob()), time.monotonic() + 0.5)
                client.link().submit(call)
                peer, frame = next_call(router)
                fixed = [Envelope(Kind.CHUNK, decode(frame).id).encode()] if answer[0][:2] == b"RQ" else answer
                router.send_multipart([peer, *fixed])
                until(lambda call=call: isinstance(call.outcome, errors.DataLoss | errors.DeadlineExceeded))
    finally:
        router.close(0)


def next_call(router: zmq.Socket[bytes]) -> list[bytes]:
    while True:
        assert router.poll(10_000), "no call came"
        frames = router.recv_multipart()
        if decode(frames[1]).kind is Kind.CALL:
            return frames


def test_a_second_proxy_on_the_port_says_so_and_ends(mesh: Processes, tmp_path: Path) -> None:
    from clients.settings import load
    from proxies.proxy import run

    with pytest.raises(errors.PortBusy):
        run(load(mesh.path, env={}).config, "trial")


def heeds(process: Process, number: signal.Signals) -> bool:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> (number - 1) & 1)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which signals a process heeds")
def test_a_worker_without_a_proxy_leaves_when_told(tmp_path: Path) -> None:
    with processes(tmp_path) as mesh:
        worker = mesh.start("worker")
        until(lambda: heeds(worker, signal.SIGTERM))
        worker.terminate()
        assert worker.wait(20) == 0


def test_readiness_is_told_to_the_proxy_as_documented(mesh: Processes) -> None:
    with raw_dealer(mesh.back) as dealer:
        ready = Ready("u" * 32, 1, "elsewhere", "trial", ["trial.unserved"], 1)
        dealer.send_multipart([b"", Envelope(Kind.READY, 0, body=pack(ready).body).encode()])
        with Client(mesh.address) as client:
            until(lambda: len(client.status().workers) == 2)
            dealer.send_multipart([b"", Envelope(Kind.BYE, 0).encode()])
            until(lambda: len(client.status().workers) == 1)
    assert method_key("trial.unserved") != ECHO.key


def test_every_error_of_a_call_is_from_the_tree(client: Client) -> None:
    with pytest.raises(RagqError):
        client.call(WAIT, Wait(5), timeout_s=0.01)
    with pytest.raises(errors.BadRequest, match="cannot travel"):
        client.call(ECHO, Blob(text=2**70))  # type: ignore[arg-type]  # on purpose
    for timeout_s in (float("inf"), 1e12, float("nan"), -1.0, 0.0):
        try:
            client.call(ECHO, Blob(), timeout_s=timeout_s)
        except errors.DeadlineExceeded:
            assert not timeout_s > 0


def test_processes_that_are_told_to_leave_have_closed_what_they_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "always::ResourceWarning")
    with processes(tmp_path, num_proxies=2) as mesh:
        mesh.start_mesh(2)
        with Client(mesh.fronts) as client:
            assert [number.value for number in client.stream(COUNT, Count(3))] == [0, 1, 2]
        for process in reversed(mesh.started):
            process.terminate()
            assert process.wait(40) == 0
        assert "Warning" not in mesh.log()
        assert "Traceback" not in mesh.log()
