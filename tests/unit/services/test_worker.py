"""A worker between a hand-made proxy and its handlers, within this process."""

from __future__ import annotations

import struct
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from clients import sockets
from clients.config import Config
from clients.errors import DeadlineExceeded, Forbidden
from clients.greetings import Beat, Ready
from clients.memory import resident_bytes
from clients.packing import pack, unpack_map
from clients.reading import read
from clients.wire import STREAM_CREDIT, Envelope, Flag, Kind, decode, failure_envelope, read_failure
from services.worker import Worker
from tests.conftest import free_ports
from tests.unit.services.trial_desk import COUNT, SAY, Desk, Say

pytestmark = pytest.mark.process

WAITED = struct.Struct("<I")


class Proxy:
    """The other end: it says what a proxy says, and reads what a worker answers."""

    def __init__(self, address: str = "") -> None:
        self.address = address or f"inproc://{uuid.uuid4().hex}"
        self._router = sockets.router(self.address)
        self.desk = Desk(Config())

    def start(self, *others: Proxy) -> Proxy:
        """Start a worker of this proxy, and of others."""
        self.worker = Worker(self.desk, [self.address, *(other.address for other in others)])
        self.thread = threading.Thread(target=self.worker.run, daemon=True)
        self.thread.start()
        self.greet()
        return self

    def greet(self) -> None:
        """Let a worker present itself, over this connection or the next one."""
        while True:
            assert self._router.poll(10_000), "no worker came"
            self._id, route, frame = self._router.recv_multipart()
            self.greeting = decode(frame)
            if route == b"" and self.greeting.kind is Kind.READY:
                return

    def ready(self) -> Ready:
        """What the worker said of itself."""
        return read(Ready, unpack_map(self.greeting.body))

    def send(self, *frames: bytes) -> None:
        """Send anything to the worker."""
        self._router.send_multipart([self._id, *frames])

    def say(self, envelope: Envelope, client: bytes = b"client", waited_ms: int = 0) -> None:
        self._router.send_multipart([self._id, client + WAITED.pack(waited_ms), envelope.encode()])

    def control(self, kind: Kind) -> None:
        self._router.send_multipart([self._id, b"", Envelope(kind, 0).encode()])

    def hear(self, *kinds: Kind) -> Envelope:
        while self._router.poll(5000):
            envelope = decode(self._router.recv_multipart()[2])
            if envelope.kind in kinds:
                return envelope
        raise AssertionError(f"no {kinds} came")

    def close(self, *others: Proxy) -> None:
        self.worker.stop()
        while self.thread.is_alive():
            for proxy in (self, *others):
                if proxy._router.poll(20) and decode(proxy._router.recv_multipart()[2]).kind is Kind.DRAIN:
                    proxy.control(Kind.DRAIN)
        for proxy in (self, *others):
            proxy._router.close(0)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy().start()
    yield proxy
    proxy.close()


@pytest.fixture
def tcp() -> Iterator[Proxy]:
    proxy = Proxy(f"tcp://127.0.0.1:{free_ports(1)[0]}").start()
    yield proxy
    proxy.close()


def call(method_key: int, request: object, **fields: int) -> Envelope:
    return Envelope(Kind.CALL, 7, method=method_key, body=pack(request).body, ttl_ms=5000, **fields)  # type: ignore[arg-type]  # numbers


def test_a_worker_presents_itself_first(proxy: Proxy) -> None:
    assert proxy.greeting.kind is Kind.READY
    ready = read(Ready, unpack_map(proxy.greeting.body))
    assert (ready.service, ready.slots) == ("desk", 2)
    assert ready.methods == ["desk.count", "desk.fail", "desk.say"]


def test_a_call_is_answered_under_its_number(proxy: Proxy) -> None:
    proxy.say(call(SAY.key, Say("hello")))
    answer = proxy.hear(Kind.REPLY, Kind.ERROR)
    assert (answer.kind, answer.id) == (Kind.REPLY, 7)
    assert unpack_map(answer.body) == {"text": "hello"}


def test_the_time_in_the_proxys_queue_counts(proxy: Proxy) -> None:
    proxy.say(call(SAY.key, Say("late")), waited_ms=5001)
    answer = proxy.hear(Kind.REPLY, Kind.ERROR)
    assert isinstance(read_failure(answer), DeadlineExceeded)
    assert proxy.desk.num_said == 0


def test_a_stream_waits_for_credit(proxy: Proxy) -> None:
    proxy.say(call(COUNT.key, Say("5"), seq=2, flags=Flag.WANTS_STREAM))
    assert [proxy.hear(Kind.CHUNK, Kind.END).seq for _ in range(2)] == [0, 1]
    proxy.say(Envelope(Kind.CREDIT, 7, seq=10))
    assert [proxy.hear(Kind.CHUNK, Kind.END).seq for _ in range(3)] == [2, 3, 4]
    end = proxy.hear(Kind.CHUNK, Kind.END)
    assert (end.kind, end.seq, unpack_map(end.body)) == (Kind.END, 5, {"text": "done"})


def test_a_credit_beyond_reason_stops_nothing(proxy: Proxy) -> None:
    proxy.say(call(COUNT.key, Say("3"), seq=2**32 - 1, flags=Flag.WANTS_STREAM))
    assert proxy.hear(Kind.END).seq == 3
    proxy.say(Envelope(Kind.CREDIT, 7, seq=2**32 - 1))
    proxy.say(call(SAY.key, Say("next")))
    assert proxy.hear(Kind.REPLY).id == 7


def test_a_stream_that_waits_for_credit_is_cancelled_at_once(proxy: Proxy) -> None:
    proxy.say(call(COUNT.key, Say("1000"), seq=STREAM_CREDIT, flags=Flag.WANTS_STREAM))
    for _ in range(STREAM_CREDIT):
        proxy.hear(Kind.CHUNK)
    proxy.say(Envelope(Kind.CANCEL, 7))
    assert proxy.hear(Kind.ERROR).status == 1
    assert proxy.desk.closed == ["1000"]


def test_a_worker_that_is_not_known_presents_itself_again(proxy: Proxy) -> None:
    proxy.control(Kind.RESET)
    assert proxy.hear(Kind.READY).body == proxy.greeting.body


def test_a_beat_lists_the_calls_that_it_holds(proxy: Proxy) -> None:
    proxy.say(call(COUNT.key, Say("1000"), seq=1, flags=Flag.WANTS_STREAM))
    proxy.hear(Kind.CHUNK)
    beat = read(Beat, unpack_map(proxy.hear(Kind.BEAT).body))
    assert beat.running == [(b"client" + WAITED.pack(0), 7)]
    assert beat.note == "fine"
    proxy.say(Envelope(Kind.CANCEL, 7))


def test_each_of_two_proxies_gets_its_share_of_the_slots() -> None:
    second = Proxy()
    first = Proxy().start(second)
    try:
        second.greet()
        while first.ready().slots + second.ready().slots > first.desk.slots:
            first.greet()
        assert (first.ready().slots, second.ready().slots) == (1, 1)
        assert first.ready().uuid == second.ready().uuid
    finally:
        first.close(second)


def test_a_call_too_many_is_refused_before_it_begins(proxy: Proxy) -> None:
    for number in range(2):
        proxy.say(call(COUNT.key, Say("1000"), seq=1, flags=Flag.WANTS_STREAM), client=b"%d" % number)
        proxy.hear(Kind.CHUNK)
    proxy.say(call(SAY.key, Say("too many")))
    assert proxy.hear(Kind.NACK, Kind.REPLY, Kind.ERROR).kind is Kind.NACK
    assert proxy.desk.num_said == 0
    for number in range(2):
        proxy.say(Envelope(Kind.CANCEL, 7), client=b"%d" % number)
        proxy.hear(Kind.ERROR)
    proxy.say(call(SAY.key, Say("now")))
    assert proxy.hear(Kind.NACK, Kind.REPLY).kind is Kind.REPLY


def test_the_same_call_does_not_begin_twice(proxy: Proxy) -> None:
    for _ in range(2):
        proxy.say(call(COUNT.key, Say("2"), seq=1, flags=Flag.WANTS_STREAM))
    proxy.hear(Kind.CHUNK)
    proxy.say(Envelope(Kind.CREDIT, 7, seq=10))
    assert proxy.hear(Kind.CHUNK, Kind.END).seq == 1
    proxy.hear(Kind.END)
    assert proxy.desk.closed == ["2"]


def test_calls_of_a_proxy_that_forgot_the_worker_are_given_up(proxy: Proxy) -> None:
    proxy.say(call(COUNT.key, Say("1000"), seq=1, flags=Flag.WANTS_STREAM))
    proxy.hear(Kind.CHUNK)
    proxy.control(Kind.RESET)
    proxy.greet()
    until(lambda: proxy.desk.closed == ["1000"])


@pytest.mark.parametrize("frames", [[b"", b"nonsense"], [b"route\0\0\0\0", b"RQ"], [b""], [b"x", b"y"]])
def test_a_worker_connects_again_to_a_proxy_that_talks_nonsense(tcp: Proxy, frames: list[bytes]) -> None:
    before = tcp._id
    tcp.say(call(COUNT.key, Say("1000"), seq=1, flags=Flag.WANTS_STREAM))
    tcp.hear(Kind.CHUNK)
    tcp.send(*frames)
    tcp.greet()
    assert tcp._id != before
    until(lambda: tcp.desk.closed == ["1000"])
    tcp.say(call(SAY.key, Say("again")))
    assert tcp.hear(Kind.REPLY).id == 7


def test_a_refused_worker_says_so_once_and_stays_quiet(tcp: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    refusal = failure_envelope(0, Forbidden("this key may not serve 'desk'"), "proxy").encode()
    tcp.send(b"", refusal)
    tcp.send(b"", refusal)
    until(lambda: "may not serve" in caplog.text)
    time.sleep(1.0)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_note_that_hangs_holds_no_beat_back(proxy: Proxy) -> None:
    hangs = threading.Event()
    proxy.desk.note = lambda: str(hangs.wait(20))  # type: ignore[method-assign]
    try:
        for _ in range(3):
            proxy.hear(Kind.BEAT)
    finally:
        hangs.set()


def test_a_beat_tells_processor_time_and_how_late_the_worker_was(proxy: Proxy) -> None:
    beat = read(Beat, unpack_map(proxy.hear(Kind.BEAT).body))
    assert beat.cpu_s > 0
    assert 0 <= beat.lag_s < 10


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_resident_memory_is_told_in_bytes() -> None:
    assert resident_bytes() > 10 << 20


def test_a_worker_whose_service_comes_to_serve_more_says_so_and_serves_it(proxy: Proxy) -> None:
    assert (SAY.name in proxy.ready().methods, proxy.ready().elsewhere) == (True, [])
    slots = proxy.ready().slots
    proxy.desk.is_quiet = True
    proxy.desk.renewed()
    proxy.greet()
    assert (SAY.name in proxy.ready().methods, proxy.ready().elsewhere) == (False, [SAY.name])
    proxy.desk.is_quiet = False
    proxy.desk.renewed()
    proxy.greet()
    assert (SAY.name in proxy.ready().methods, proxy.ready().elsewhere, proxy.ready().slots) == (True, [], slots)
    proxy.say(Envelope(Kind.CALL, 7, method=SAY.key, ttl_ms=5000, body=pack(Say("again")).body))
    assert unpack_map(proxy.hear(Kind.REPLY).body) == {"text": "again"}
