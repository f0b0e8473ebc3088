"""A client's own stream, against a hand-made proxy that grants what the test wants."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import zmq

from clients import Client, errors, sockets
from clients.flow import Inflow
from clients.packing import pack
from clients.wire import STREAM_WINDOW, Envelope, Flag, Kind, Method, Nothing, decode, failure_envelope
from tests.conftest import free_ports
from tests.mesh.processes import until
from tests.mesh.trial import Count, Number

pytestmark = pytest.mark.mesh
SUM: Method[Nothing, Number, Nothing] = Method("trial.sum", Nothing, Number, Nothing, input=Number)
ECHOES: Method[Nothing, Count, Number] = Method("trial.echoes", Nothing, Count, Number, input=Number)


@dataclass
class Other:
    """The other side: it reads one call and its chunks, in the test's thread."""

    router: zmq.Socket[bytes]
    address: str
    peer: bytes = b""
    call: Envelope = field(default_factory=lambda: Envelope(Kind.CALL, 0))
    inflow: Inflow = field(default_factory=lambda: Inflow("the input"))
    num_bytes: int = 0

    def next(self, timeout_ms: int = 10_000) -> Envelope | None:
        """The next message that matters; None when none comes."""
        while self.router.poll(timeout_ms):
            self.peer, frame, *buffers = self.router.recv_multipart()
            envelope = decode(frame)
            if envelope.kind is Kind.CHUNK:
                self.inflow.chunk(envelope, buffers)
                self.num_bytes += len(envelope.body) + sum(map(len, buffers))
            if envelope.kind not in (Kind.HELLO, Kind.PING, Kind.BYE):
                return envelope
        return None

    def begin(self, num_chunks: int) -> None:
        """Read the call, and grant so many chunks."""
        call = self.next()
        assert call is not None
        assert (call.kind, bool(call.flags & Flag.STREAMS_INPUT)) == (Kind.CALL, True)
        self.call = call
        self.grant(num_chunks)

    def grant(self, num_chunks: int) -> None:
        """Say that there is room."""
        self.send(Envelope(Kind.CREDIT, self.call.id, seq=num_chunks))

    def send(self, envelope: Envelope) -> None:
        """Send a message about the call."""
        self.router.send_multipart([self.peer, envelope.encode()])

    def chunks(self) -> int:
        """How many chunks come until the client waits, or ends."""
        count = 0
        while (message := self.next(500)) is not None and message.kind is Kind.CHUNK:
            count += 1
        return count


@pytest.fixture
def other() -> Iterator[Other]:
    address = f"tcp://127.0.0.1:{free_ports(1)[0]}"
    router = sockets.router(address)
    yield Other(router, address)
    router.close(0)


@pytest.fixture
def client(other: Other) -> Iterator[Client]:
    with Client(other.address) as client:
        yield client


def test_chunks_come_as_they_are_granted_and_then_the_end_with_their_checksum(other: Other, client: Client) -> None:
    stream = client.stream(SUM, Nothing(), input=(Number(i) for i in range(5)))
    other.begin(2)
    assert other.chunks() == 2
    other.grant(5)
    for _ in range(3):
        assert (other.next() or other.call).kind is Kind.CHUNK
    end = other.next()
    assert end is not None
    other.inflow.end(end)
    assert (end.kind, end.seq) == (Kind.END, 5)
    other.send(Envelope(Kind.REPLY, other.call.id, body=pack(Number(10)).body))
    assert stream.reply.value == 10


def test_no_more_is_taken_from_the_program_than_was_granted(other: Other, client: Client) -> None:
    taken = []

    def numbers() -> Iterator[Number]:
        for i in range(100):
            taken.append(i)
            yield Number(i)

    with client.stream(SUM, Nothing(), input=numbers()):
        other.begin(3)
        assert other.chunks() == 3
        time.sleep(0.2)
        assert len(taken) == 4  # one waits for room


def test_no_more_bytes_are_under_way_than_the_window_has(other: Other, client: Client) -> None:
    half = Number(0, b"x" * (STREAM_WINDOW // 2 - 100))
    with client.stream(SUM, Nothing(), input=[half] * 10):
        other.begin(32)
        assert other.chunks() == 2
        assert other.num_bytes <= STREAM_WINDOW
        other.grant(1)
        assert other.chunks() == 1


def test_events_and_input_flow_at_the_same_time(other: Other, client: Client) -> None:
    with client.stream(ECHOES, Nothing(), input=[Number(1), Number(2)]) as events:
        other.begin(1)
        assert other.chunks() == 1
        other.send(Envelope(Kind.CHUNK, other.call.id, body=pack(Number(1)).body))
        assert next(events).value == 1
        other.grant(1)
        assert (other.next() or other.call).kind is Kind.CHUNK


def test_what_the_programs_iterable_raises_cancels_the_call_and_is_raised(other: Other, client: Client) -> None:
    def broken() -> Iterator[Number]:
        yield Number(1)
        raise OSError("the file is gone")

    stream = client.stream(SUM, Nothing(), input=broken())
    other.begin(8)
    with pytest.raises(OSError, match="the file is gone"):
        _ = stream.reply
    kinds = []
    while (message := other.next(500)) is not None:
        kinds.append(message.kind)
    assert kinds == [Kind.CHUNK, Kind.CANCEL]


def test_a_call_that_ends_early_stops_taking_from_the_program(other: Other, client: Client) -> None:
    before = threading.active_count()
    stream = client.stream(SUM, Nothing(), input=(Number(i) for i in range(10**9)))
    other.begin(1)
    assert other.chunks() == 1
    other.send(Envelope(Kind.REPLY, other.call.id, body=pack(Number(0)).body))
    assert stream.reply.value == 0
    until(lambda: threading.active_count() <= before + 1)  # the client's own thread stays


def test_a_call_that_was_not_begun_is_made_again_with_the_same_chunks(other: Other, client: Client) -> None:
    stream = client.stream(SUM, Nothing(), input=iter([Number(7)]))
    call = other.next()
    assert call is not None
    other.send(failure_envelope(call.id, errors.Busy("full"), "proxy"))
    other.begin(1)
    assert other.call.attempt == 1
    assert (other.next() or other.call).kind is Kind.CHUNK
    end = other.next()
    assert end is not None
    other.inflow.end(end)
    other.send(Envelope(Kind.REPLY, other.call.id, body=pack(Number(7)).body))
    assert stream.reply.value == 7


def test_a_stream_of_which_nothing_comes_is_given_up(other: Other, client: Client) -> None:
    stream = client.stream(ECHOES, Nothing(), input=[], idle_s=0.5)
    with pytest.raises(errors.DeadlineExceeded, match=r"nothing came of trial\.echoes for 0\.5 s"):
        next(stream)


def test_an_input_is_refused_where_none_is_taken_and_missed_where_one_is(client: Client) -> None:
    with pytest.raises(errors.BadRequest, match="takes chunks"):
        client.stream(SUM, Nothing())
    plain: Method[Nothing, Count, Number] = Method("trial.plain", Nothing, Count, Number)
    with pytest.raises(errors.BadRequest, match="takes no chunks"):
        client.stream(plain, Nothing(), input=[])
