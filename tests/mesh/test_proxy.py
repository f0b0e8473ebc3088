"""What a proxy does with the messages of clients and workers, word by word."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import zmq

from clients.packing import pack_map
from clients.wire import HEADER, Envelope, Flag, Kind
from tests.mesh.proxied import KEY, Place, place

pytestmark = pytest.mark.mesh


@pytest.fixture
def here() -> Iterator[Place]:
    with place() as found:
        yield found


def test_a_call_reaches_the_worker_and_its_answer_the_client(here: Place) -> None:
    worker, client = here.worker(), here.client()
    client.call(7, body=b"question")
    route, call = worker.next()
    assert (call.kind, call.id, call.body) == (Kind.CALL, 7, b"question")
    worker.reply(route, 7, body=b"answer")
    answer = client.next()
    assert (answer.kind, answer.id, answer.body) == (Kind.REPLY, 7, b"answer")


def test_buffers_of_every_size_pass_unchanged(here: Place) -> None:
    worker, client = here.worker(), here.client()
    buffers = [b"", b"a" * 10, b"b" * (127 << 10), b"c" * (129 << 10), b"d" * (1 << 20)]
    client.say(Envelope(Kind.CALL, 1, method=KEY, num_buffers=len(buffers)).encode(), *buffers)
    route, head, *came = worker.hear()
    assert came == buffers
    worker.say(route, head[:3] + bytes([Kind.REPLY]) + head[4:], *came)
    assert client.hear()[1:] == buffers


def test_an_envelope_above_the_size_that_is_copied_passes_unchanged(here: Place) -> None:
    worker, client = here.worker(), here.client()
    body = bytes(range(256)) * 2000
    client.call(1, body=body)
    route, call = worker.next()
    assert call.body == body
    worker.reply(route, 1, body=body)
    assert client.next().body == body


def test_a_worker_that_has_no_room_hands_the_call_back_to_another(here: Place) -> None:
    client = here.client()
    workers = [here.worker(uuid="one"), here.worker(uuid="two")]
    client.call(1)
    first = next(w for w in workers * 100 if w.socket.poll(100))
    second = workers[1 - workers.index(first)]
    route, call = first.next()
    first.reply(route, call.id, Kind.NACK)
    route, call = second.next()
    second.reply(route, call.id)
    assert client.next().kind is Kind.REPLY


def test_a_client_sends_chunks_when_the_worker_asks_for_them(here: Place) -> None:
    worker, client = here.worker(), here.client()
    client.call(1, flags=Flag.STREAMS_INPUT)
    route, _ = worker.next()
    worker.reply(route, 1, Kind.CREDIT, seq=32)
    credit = client.next()
    assert (credit.kind, credit.seq) == (Kind.CREDIT, 32)
    client.say(Envelope(Kind.CHUNK, 1, body=b"part").encode())
    client.say(Envelope(Kind.END, 1, seq=1).encode())
    chunk, end = worker.next()[1], worker.next()[1]
    assert (chunk.kind, chunk.body, end.kind, end.seq) == (Kind.CHUNK, b"part", Kind.END, 1)
    worker.reply(route, 1)
    assert client.next().kind is Kind.REPLY


def test_chunks_that_were_not_announced_are_refused(here: Place) -> None:
    worker, client = here.worker(), here.client()
    client.call(1)
    worker.next()
    client.say(Envelope(Kind.CHUNK, 1).encode())
    assert client.refusal() == "MALFORMED"
    assert worker.is_silent()


def test_a_worker_cannot_ask_for_chunks_that_were_not_announced(here: Place) -> None:
    worker, client = here.worker(), here.client()
    client.call(1)
    route, _ = worker.next()
    worker.reply(route, 1, Kind.CREDIT, seq=32)
    worker.reply(route, 1)
    assert client.next().kind is Kind.REPLY


def test_anyone_may_ask_whether_a_proxy_is_there(here: Place) -> None:
    client = here.client()
    client.say(Envelope(Kind.PING, 0).encode())
    assert client.next().kind is Kind.PONG


@pytest.mark.parametrize("bit", [16, 128])
def test_a_low_flag_that_nobody_knows_is_refused_and_a_high_one_is_not(here: Place, bit: int) -> None:
    worker, client = here.worker(), here.client()
    client.call(1, flags=bit)
    assert client.refusal() == "MALFORMED"
    client.call(2, flags=bit << 8)
    assert worker.next()[1].id == 2


@pytest.mark.parametrize("kind", [Kind.WELCOME, Kind.REPLY, Kind.ERROR, Kind.READY, Kind.BEAT, Kind.NACK, 200])
def test_a_kind_that_clients_do_not_send_is_answered_with_an_error(here: Place, kind: int) -> None:
    client = here.client()
    frame = Envelope(Kind.CALL, 5, method=KEY).encode()
    client.say(frame[:3] + bytes([kind]) + frame[4:])
    answer = client.next()
    assert (answer.kind, answer.id) == (Kind.ERROR, 5)


def test_messages_of_many_and_of_empty_frames_do_not_disturb_others(here: Place) -> None:
    worker, client, rude = here.worker(), here.client(), here.client()
    fine = Envelope(Kind.CALL, 1, method=KEY).encode()
    for frames in (
        [fine, *[b""] * 199],
        [b""] * 200,
        [b"", b""],
        [b"x"],
        [fine, b"\0abcd", fine],
        [fine[:31] + b"\xff"],
    ):
        rude.say(*frames)
    client.call(3)
    route, call = next(came for came in iter(worker.next, None) if not came[1].flags & Flag.LEGACY)
    assert call.id == 3
    worker.reply(route, 3)
    assert client.next().id == 3


def test_a_worker_that_says_nonsense_does_not_disturb_others(here: Place) -> None:
    worker, client = here.worker(), here.client()
    rude = here.worker(uuid="rude", slots=0)
    answer = Envelope(Kind.REPLY, 1).encode()
    route = b"\0abcd\0\0\0\0"
    for frames in (
        [b"x"],
        [b""],
        [b"", b""],
        [route, b"RQ"],
        [b"r", answer],
        [route, b"\0abcd", answer],
        [route, answer, b"x"],
    ):
        rude.say(*frames)
    client.call(3)
    route, call = worker.next()
    worker.reply(route, call.id)
    assert client.next().kind is Kind.REPLY


def test_what_nobody_could_read_is_counted(here: Place) -> None:
    client = here.client()
    for frame in (b"x", Envelope(Kind.REPLY, 1).encode(), b"R" * HEADER.size):
        client.say(frame)
        client.next()
    assert here.proxy.stats().protocol_errors == 3


def test_an_error_of_a_worker_that_nobody_can_read_still_ends_the_call(here: Place) -> None:
    worker, client = here.worker(), here.client()
    client.call(1)
    route, _ = worker.next()
    worker.reply(route, 1, Kind.ERROR, status=2, meta=pack_map({"reason": 5}))
    assert client.next().kind is Kind.ERROR
    assert here.proxy.status().running == 0


def test_a_client_that_does_not_read_has_its_stream_cancelled_and_disturbs_nobody(here: Place) -> None:
    worker, slow, client = here.worker(), here.client(), here.client()
    slow.socket.disconnect(here.front)
    slow.socket.set(zmq.RCVHWM, 1)
    slow.socket.connect(here.front)
    slow.call(1, flags=Flag.WANTS_STREAM)
    route, _ = worker.next()
    is_cancelled = False
    for seq in range(50_000):
        worker.reply(route, 1, Kind.CHUNK, seq=seq, body=b"x" * 2000)
        if not seq % 500 and worker.socket.poll(0):
            is_cancelled = worker.next()[1].kind is Kind.CANCEL
            break
    assert is_cancelled or worker.next()[1].kind is Kind.CANCEL
    worker.reply(route, 1, Kind.ERROR, status=1)
    client.call(2)
    route, call = worker.next()
    worker.reply(route, call.id)
    assert client.next().id == 2
