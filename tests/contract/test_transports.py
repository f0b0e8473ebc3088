"""What callers are promised, whichever transport carries it: tcp, ipc, inproc, and tcp with keys."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from clients import Client, errors
from clients.config import Config
from clients.endpoint import Endpoint
from clients.keys import Credential, read_credential
from clients.packing import MAX_UNARY, pack
from clients.pending import pending
from clients.wire import STREAM_CREDIT, Nothing
from proxies.gate import Gate
from proxies.proxy import Proxy
from services.launching.keyring import Keyring
from services.worker import Worker
from tests.conftest import free_ports
from tests.mesh.trial import (
    COUNT,
    ECHO,
    FAIL,
    SEEN,
    STEP,
    UNSERVED,
    UPLOAD,
    WAIT,
    Blob,
    Count,
    Fail,
    Number,
    Trial,
    Wait,
)

TRANSPORTS = ("tcp", "ipc", "inproc", "keys")


def endpoint(protocol: str, directory: Path) -> Endpoint:
    match protocol:
        case "tcp" | "keys":
            return Endpoint(free_ports(1)[0])
        case "ipc":
            return Endpoint(host=str(directory / uuid.uuid4().hex[:6]), protocol="ipc")
    return Endpoint(host=uuid.uuid4().hex, protocol="inproc")


@dataclass
class Mesh:
    """A proxy, workers and clients in threads of this process, who have keys where there is a folder for them."""

    front: str
    back: str
    keys: Path | None = None
    ends: ExitStack = field(default_factory=ExitStack)

    def start_proxy(self) -> Proxy:
        proxy = Proxy("trial", self.front, self.back, Gate(self.keys) if self.keys else None)
        self._start(proxy.run, proxy.stop)
        return proxy

    def start_worker(self, slots: int = 8) -> Worker:
        worker = Worker(Trial(Config()), self.back, slots, self._credential("worker"))
        self._start(worker.run, worker.stop)
        return worker

    def _start(self, run: Callable[[], None], stop: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def end() -> None:
            stop()
            thread.join(5)
            assert not thread.is_alive()

        self.ends.callback(end)

    def _credential(self, name: str) -> Credential | None:
        return read_credential(self.keys / f"{name}.key") if self.keys else None

    def client(self, timeout_s: float = 10.0) -> Client:
        client = Client(self.front, timeout_s=timeout_s, credential=self._credential("client"))
        self.ends.callback(client.close)
        return client


@pytest.fixture(params=TRANSPORTS)
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def mesh(protocol: str, tmp_path: Path) -> Iterator[Mesh]:
    mesh = Mesh(endpoint(protocol, tmp_path).address, endpoint(protocol, tmp_path).address)
    if protocol == "keys":
        mesh.keys = tmp_path / "keys"
        Keyring(mesh.keys).provide()
    with mesh.ends:
        yield mesh


@pytest.fixture
def client(mesh: Mesh) -> Client:
    mesh.start_proxy()
    mesh.start_worker()
    return mesh.client()


def until(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_a_call_gets_its_reply(client: Client) -> None:
    assert client.call(ECHO, Blob("täst 好", b"\x00\xff")).text == "täst 好"


@pytest.mark.parametrize("shape", [(), (0, 384), (3, 5), (700, 1024)], ids=str)
def test_arrays_arrive_as_they_were(client: Client, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    back = client.call(ECHO, Blob(array=array)).array
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert np.array_equal(back, array)


def test_a_long_text_and_long_bytes_arrive(client: Client) -> None:
    blob = Blob("y" * (3 << 20), b"z" * (3 << 20))
    back = client.call(ECHO, blob)
    assert (back.text, back.data) == (blob.text, blob.data)


def test_too_large_a_call_is_refused_before_it_is_sent(client: Client) -> None:
    with pytest.raises(errors.TooLarge, match="limit is 8192 KiB"):
        client.call(ECHO, Blob(data=b"z" * MAX_UNARY))
    assert client.call(ECHO, Blob("still here")).text == "still here"


def test_a_stream_gives_every_event_and_then_the_reply(client: Client) -> None:
    with client.stream(COUNT, Count(500)) as numbers:
        assert [n.value for n in numbers] == list(range(500))
    assert numbers.reply.upto == 500


def test_a_stream_without_events_has_a_reply(client: Client) -> None:
    assert client.stream(COUNT, Count(0)).reply.upto == 0


def test_a_streaming_method_called_without_stream_gives_its_reply_alone(client: Client) -> None:
    assert client.call(COUNT, Count(100)).upto == 100


def test_a_reader_who_does_not_read_makes_nobody_buffer(client: Client) -> None:
    with client.stream(COUNT, Count(1000, size=1000)) as numbers:
        until(lambda: client.call(SEEN, Nothing()).emitted >= STREAM_CREDIT - 1)
        time.sleep(0.2)
        assert client.call(SEEN, Nothing()).emitted <= STREAM_CREDIT
        assert [n.value for n in numbers] == list(range(1000))


def test_a_method_takes_the_chunks_that_its_client_streams(client: Client) -> None:
    assert client.stream(UPLOAD, Wait(), input=(Number(i) for i in range(500))).reply.num_chunks == 500
    assert client.stream(UPLOAD, Wait(), input=[]).reply.num_chunks == 0


def test_a_stream_of_any_length_passes_through_the_window(client: Client) -> None:
    megabyte = b"x" * (1 << 20)
    assert client.stream(UPLOAD, Wait(), input=(Number(i, megabyte) for i in range(20))).reply.num_bytes == 20 << 20
    with client.stream(COUNT, Count(20, size=1 << 20)) as numbers:
        assert sum(len(number.data) for number in numbers) == 20 << 20


def test_leaving_a_stream_frees_its_slot(mesh: Mesh) -> None:
    mesh.start_proxy()
    mesh.start_worker(slots=1)
    client = mesh.client()
    with client.stream(COUNT, Count(10_000, pause_s=30)) as numbers:
        assert next(numbers).value == 0
    began = time.monotonic()
    client.call(ECHO, Blob())
    assert time.monotonic() - began < 10


def test_a_cancelled_call_ends_at_the_caller_and_frees_its_slot(mesh: Mesh, tmp_path: Path) -> None:
    mesh.start_proxy()
    mesh.start_worker(slots=1)
    client = mesh.client()
    call = pending(WAIT, pack(Wait(30, str(tmp_path / "began"))), time.monotonic() + 30)
    client.link().submit(call)
    until((tmp_path / "began").exists)
    client.link().cancel(call)
    until(lambda: isinstance(call.outcome, errors.Cancelled))
    assert client.call(SEEN, Nothing()).cancelled == 1


@pytest.mark.parametrize(
    "kind",
    ["BadRequest", "NotFound", "AlreadyExists", "TooLarge", "Forbidden", "Unauthenticated", "BackendError",
     "ModelNotLoaded", "DeadlineExceeded", "VersionMismatch", "Cancelled", "RagqError"],
)  # fmt: skip
def test_a_handlers_error_reaches_the_caller_as_it_was_raised(client: Client, kind: str) -> None:
    with pytest.raises(errors.RagqError) as caught:
        client.call(FAIL, Fail(kind, "nützlich"))
    assert type(caught.value) is getattr(errors, kind)
    assert (caught.value.message, caught.value.help) == ("nützlich", "no help")


def test_a_defect_in_a_handler_is_reported_with_an_id_and_without_its_words(client: Client) -> None:
    with pytest.raises(errors.Internal, match=r"trial.fail failed: ZeroDivisionError \[[0-9a-f]{8}\]") as caught:
        client.call(FAIL, Fail("ZeroDivisionError", "a secret"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("message", ["x" * 2_000_000, "half a pair \ud800"], ids=["2 MB", "surrogate"])
def test_an_error_with_an_odd_message_still_arrives(client: Client, message: str) -> None:
    class Odd(Trial):
        pass

    with pytest.raises(errors.RagqError) as caught:
        client.call(FAIL, Fail("NotFound", message))
    assert len(caught.value.message) <= 8000


def test_a_request_of_the_wrong_shape_is_refused_with_the_fields_name(client: Client) -> None:
    wrong = type(WAIT)(WAIT.name, Blob, Blob, Nothing)
    with pytest.raises(errors.BadRequest, match="unknown key 'text'"):
        client.call(wrong, Blob())


def test_an_unknown_method_is_named(client: Client) -> None:
    client.call(ECHO, Blob())
    with pytest.raises(errors.UnknownMethod, match=r"trial\.unserved"):
        client.call(UNSERVED, Nothing())


def test_the_time_runs_out_while_a_call_waits_in_the_queue(mesh: Mesh) -> None:
    mesh.start_proxy()
    mesh.start_worker(slots=1)
    client = mesh.client()
    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(client.call, WAIT, Wait(4.0))
        until(lambda: client.status().running == 1)
        began = time.monotonic()
        with pytest.raises(errors.DeadlineExceeded):
            client.call(ECHO, Blob(), timeout_s=0.3)
        assert time.monotonic() - began > 0.25
        assert not holder.done()
        assert holder.result().pid


def test_the_time_runs_out_while_a_call_is_worked_on(client: Client) -> None:
    began = time.monotonic()
    with pytest.raises(errors.DeadlineExceeded):
        client.call(WAIT, Wait(30), timeout_s=0.3)
    assert time.monotonic() - began < 10
    until(lambda: client.status().running == 0)
    assert client.call(SEEN, Nothing()).cancelled == 1


def test_many_threads_get_each_its_own_replies(client: Client) -> None:
    def work(number: int) -> bool:
        return all(client.call(ECHO, Blob(f"{number}.{i}")).text == f"{number}.{i}" for i in range(50))

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(work, range(32)))
    status = client.status()
    assert (status.num_calls, status.num_failed, status.running, status.queued) == (1600, 0, 0, 0)


def test_many_requests_at_once_keep_their_order(client: Client) -> None:
    replies = client.call_many(ECHO, [Blob(str(i)) for i in range(100)])
    assert [reply.text for reply in replies] == [str(i) for i in range(100)]


def test_status_tells_of_workers_and_calls(mesh: Mesh) -> None:
    mesh.start_proxy()
    client = mesh.client()
    assert (client.status().state, client.status().workers) == ("starting", [])
    mesh.start_worker(slots=3)
    until(lambda: client.status().state == "ready")
    (worker,) = client.status().workers
    assert (worker.slots, worker.state, worker.running) == (3, "ready", 0)
    assert worker.pid > 0
    assert client.status().pid == worker.pid  # all are threads of this process


def test_a_worker_that_comes_later_serves_the_calls_that_wait(mesh: Mesh) -> None:
    mesh.start_proxy()
    client = mesh.client()
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(client.call, ECHO, Blob(str(i))) for i in range(4)]
        until(lambda: client.status().queued == 4)
        mesh.start_worker()
        assert [call.result().text for call in calls] == ["0", "1", "2", "3"]


def test_a_drained_worker_ends_what_it_began(mesh: Mesh) -> None:
    mesh.start_proxy()
    first = mesh.start_worker(slots=2)
    client = mesh.client()
    client.call(ECHO, Blob())
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(client.call, STEP, Wait(0.2)) for _ in range(8)]
        until(lambda: client.status().running == 2)
        first.stop()
        mesh.start_worker(slots=2)
        assert all(call.result().pid for call in calls)
    until(lambda: len(client.status().workers) == 1)
    assert client.status().num_failed == 0


def test_a_drained_proxy_refuses_new_calls_and_ends_the_old_ones(mesh: Mesh) -> None:
    proxy = mesh.start_proxy()
    mesh.start_worker()
    client = mesh.client()
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(client.call, STEP, Wait(1.5))
        until(lambda: client.status().running == 1)
        proxy.stop()
        until(lambda: proxy.status().state == "draining")
        with pytest.raises(errors.Unreachable, match="shutting down"):
            client.call(STEP, Wait(), timeout_s=0.5)
        assert held.result().pid


@pytest.mark.parametrize("kind", ["tcp", "ipc"])
def test_without_a_server_the_caller_knows_after_two_seconds(kind: str, tmp_path: Path) -> None:
    began = time.monotonic()
    with Client(endpoint(kind, tmp_path).address) as client, pytest.raises(errors.Unreachable, match="nobody answers"):
        client.call(ECHO, Blob())
    assert 1.8 < time.monotonic() - began < 10


def test_within_a_process_a_call_waits_for_its_server() -> None:
    """In one process a name may be connected to before it is bound: the call waits, and its time limits it."""
    with Client(endpoint("inproc", Path()).address) as client, pytest.raises(errors.DeadlineExceeded):
        client.call(ECHO, Blob(), timeout_s=0.3)


def test_closing_a_client_ends_its_calls(client: Client) -> None:
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(client.call, WAIT, Wait(30)) for _ in range(4)]
        until(lambda: client.status().running == 4)
        client.close()
        assert {type(call.exception(3)) for call in calls} == {errors.Cancelled}


def test_an_address_in_use_is_said(mesh: Mesh, protocol: str) -> None:
    mesh.start_proxy()
    with pytest.raises(errors.PortBusy):
        Proxy("trial", mesh.front, "inproc://other")
