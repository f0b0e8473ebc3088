"""Chunks between a handler and its client: in order, bounded, and never a wait that nobody ends."""

from __future__ import annotations

import threading
import time

import pytest

from clients.errors import Cancelled, Corrupted, DataLoss, DeadlineExceeded
from clients.flow import Outflow
from clients.packing import MAX_UNARY, Payload, pack
from clients.wire import STREAM_CREDIT, Envelope, Kind, decode
from services.running import Inbox, Outbox
from services.service import Call


def a_call(seconds: float = 30.0) -> Call:
    return Call(time.monotonic() + seconds)


def sent(outflow: Outflow, payload: Payload) -> tuple[Envelope, list[bytes]]:
    outflow.granted(1)
    head, *buffers = outflow.chunk(7, payload)
    return decode(head), [bytes(b) for b in buffers]


def test_nothing_is_asked_for_before_the_handler_takes() -> None:
    grants: list[int] = []
    inbox = Inbox(a_call(0), grants.append)
    assert grants == []
    with pytest.raises(DeadlineExceeded):
        next(inbox)
    assert grants == [STREAM_CREDIT]


def test_chunks_come_in_order_and_make_room_as_they_are_taken() -> None:
    grants: list[int] = []
    inbox, outflow = Inbox(a_call(), grants.append), Outflow()
    taken = threading.Thread(target=lambda: [next(inbox) for _ in range(STREAM_CREDIT)], daemon=True)
    taken.start()
    while not grants:
        time.sleep(0.001)
    for i in range(STREAM_CREDIT):
        inbox.put(*sent(outflow, pack({"n": i})))
    taken.join(10)
    inbox.put(decode(outflow.end(7)[0]), [])
    assert list(inbox) == []
    assert sum(grants) == 2 * STREAM_CREDIT


@pytest.mark.parametrize(("meta", "seq", "error"), [(b"", 2, DataLoss), (pack({"crc": 1}).body, 1, Corrupted)])
def test_an_end_that_does_not_fit_its_chunks_is_an_error(meta: bytes, seq: int, error: type[Exception]) -> None:
    inbox, outflow = Inbox(a_call(), lambda _: None), Outflow()
    reader = iter_after_grant(inbox)
    inbox.put(*sent(outflow, pack({"n": 0})))
    inbox.put(Envelope(Kind.END, 7, seq=seq, meta=meta), [])
    next(reader)
    with pytest.raises(error):
        next(reader)


def iter_after_grant(inbox: Inbox) -> Inbox:
    """The inbox once its first chunks were granted, as they are when a handler begins to take."""
    inbox._room_for(STREAM_CREDIT)
    return inbox


def test_chunks_beyond_all_credit_are_not_kept() -> None:
    inbox, outflow = iter_after_grant(Inbox(a_call(), lambda _: None)), Outflow()
    for _ in range(10 * STREAM_CREDIT):
        inbox.put(*sent(outflow, pack({"n": 0})))
    assert len(inbox._messages) == STREAM_CREDIT + 1
    with pytest.raises(DataLoss, match="more chunks"):
        list(inbox)


def test_bytes_beyond_the_window_are_not_kept() -> None:
    inbox, outflow = iter_after_grant(Inbox(a_call(), lambda _: None)), Outflow()
    for _ in range(5):
        inbox.put(*sent(outflow, Payload(b"", [b"x" * (MAX_UNARY // 2)])))
    assert len(inbox._messages) == 3
    with pytest.raises(DataLoss, match="more chunks"):
        list(inbox)


def test_a_handler_that_waits_for_a_chunk_is_cancelled_at_once() -> None:
    call = a_call()
    threading.Timer(0.1, call.cancelled.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        next(Inbox(call, lambda _: None))
    assert time.monotonic() - began < 10


def test_a_handler_that_waits_for_room_is_cancelled_at_once() -> None:
    call = a_call()
    outbox = Outbox(7, call, 1)
    outbox.chunk(pack({"n": 0}))
    threading.Timer(0.1, call.cancelled.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        outbox.chunk(pack({"n": 1}))
    assert time.monotonic() - began < 10


def test_a_handler_that_waits_for_room_waits_no_longer_than_its_call() -> None:
    outbox = Outbox(7, a_call(0.2), 1)
    outbox.chunk(pack({"n": 0}))
    with pytest.raises(DeadlineExceeded):
        outbox.chunk(pack({"n": 1}))


def test_a_grant_lets_a_waiting_handler_go_on() -> None:
    outbox = Outbox(7, a_call(), 1)
    outbox.chunk(pack({"n": 0}))
    threading.Timer(0.1, outbox.granted, [1]).start()
    assert decode(outbox.chunk(pack({"n": 1}))[0]).seq == 1
