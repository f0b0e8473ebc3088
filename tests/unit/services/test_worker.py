"""A worker between a hand-made proxy and its handlers, within this process."""

from __future__ import annotations

import struct
import threading
import uuid
from collections.abc import Iterator

import pytest

from clients import sockets
from clients.config import Config
from clients.errors import DeadlineExceeded
from clients.packing import pack, unpack_map
from clients.reading import read
from clients.wire import STREAM_CREDIT, Beat, Envelope, Flag, Kind, Ready, decode, read_failure
from services.worker import Worker, resident_bytes
from tests.unit.services.trial_desk import COUNT, SAY, Desk, Say

pytestmark = pytest.mark.process

WAITED = struct.Struct("<I")


class Proxy:
    """The other end: it says what a proxy says, and reads what a worker answers."""

    def __init__(self) -> None:
        self.address = f"inproc://{uuid.uuid4().hex}"
        self._router = sockets.router(self.address)
        self.desk = Desk(Config())
        self.worker = Worker(self.desk, self.address)
        self.thread = threading.Thread(target=self.worker.run, daemon=True)
        self.thread.start()
        self._id, _, frame = self._router.recv_multipart()
        self.greeting = decode(frame)

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

    def close(self) -> None:
        self.worker.stop()
        while self.thread.is_alive():
            if self._router.poll(20) and decode(self._router.recv_multipart()[2]).kind is Kind.DRAIN:
                self.control(Kind.DRAIN)
        self._router.close(0)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy()
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


def test_resident_memory_is_told_in_bytes() -> None:
    assert resident_bytes() > 10 << 20
