"""Streams keep within their window, and arrive as they were sent or not at all."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.errors import BadRequest, Corrupted, DataLoss
from clients.flow import GRANT_BYTES, GRANT_CHUNKS, Inflow, Input, Outflow, Taken
from clients.frames import Buffer
from clients.packing import Payload
from clients.wire import STREAM_CREDIT, STREAM_WINDOW, Envelope, Kind, decode


def body(size: int) -> Payload:
    return Payload(b"", [b"x" * size])


def take(inflow: Inflow, frames: list[Buffer]) -> None:
    inflow.chunk(decode(frames[0]), frames[1:])


@given(st.lists(st.binary(max_size=50), max_size=8))
def test_a_stream_that_arrives_as_it_was_sent_ends_well(bodies: list[bytes]) -> None:
    outflow, inflow = Outflow(STREAM_CREDIT), Inflow("m")
    for raw in bodies:
        take(inflow, outflow.chunk(1, Payload(raw, [raw, b"beside"])))
    inflow.end(decode(outflow.end(1)[0]))


def test_a_changed_chunk_is_found() -> None:
    outflow, inflow = Outflow(STREAM_CREDIT), Inflow("m")
    head, _ = outflow.chunk(1, Payload(b"a", [b"right"]))
    take(inflow, [head, b"wrong"])
    with pytest.raises(Corrupted):
        inflow.end(decode(outflow.end(1)[0]))


def test_a_chunk_that_is_missing_or_comes_twice_is_found() -> None:
    outflow, inflow = Outflow(STREAM_CREDIT), Inflow("m")
    first = outflow.chunk(1, body(1))
    take(inflow, first)
    with pytest.raises(DataLoss, match="chunk 1 was due, 0 came"):
        take(inflow, first)
    outflow.chunk(1, body(1))
    with pytest.raises(DataLoss, match="2 chunks were sent, 1 came"):
        inflow.end(decode(outflow.end(1)[0]))


def test_an_end_without_a_checksum_is_believed() -> None:
    Inflow("m").end(Envelope(Kind.END, 1))
    Inflow("m").end(Envelope(Kind.END, 1, meta=b"\x80"))


@pytest.mark.parametrize("meta", [b"\x01", b"\xc1"])
def test_an_end_with_an_unreadable_meta_is_refused(meta: bytes) -> None:
    with pytest.raises(BadRequest):
        Inflow("m").end(Envelope(Kind.END, 1, meta=meta))


def test_a_sender_stops_at_the_chunks_that_it_was_granted() -> None:
    outflow = Outflow()
    assert not outflow.has_room(1)
    outflow.granted(2)
    for _ in range(2):
        assert outflow.has_room(1)
        outflow.chunk(1, body(1))
    assert not outflow.has_room(1)


def test_a_sender_stops_at_the_bytes_of_the_window_but_sends_a_first_chunk_of_any_size() -> None:
    outflow = Outflow(STREAM_CREDIT)
    assert outflow.has_room(STREAM_WINDOW + 1)
    for _ in range(4):
        outflow.chunk(1, body(STREAM_WINDOW // 4))
    assert not outflow.has_room(1)
    outflow.granted(1)
    assert outflow.has_room(STREAM_WINDOW // 4)
    assert not outflow.has_room(STREAM_WINDOW // 4 + 1)


@given(st.lists(st.integers(0, STREAM_WINDOW), min_size=1, max_size=60))
def test_any_stream_gets_through_and_never_has_more_than_a_window_under_way(sizes: list[int]) -> None:
    outflow, taken, way, left = Outflow(STREAM_CREDIT), Taken(), deque[int](), deque(sizes)
    while left or way:
        while left and outflow.has_room(left[0]):
            size = left.popleft()
            outflow.chunk(1, Payload(b"", [memoryview(ZEROS)[:size]]))
            way.append(size)
        assert way, "a sender with chunks and a receiver without any wait for each other"
        assert len(way) <= STREAM_CREDIT
        assert sum(way) <= GRANT_BYTES + STREAM_WINDOW
        grant = taken.chunk(way.popleft())
        if grant:
            outflow.granted(grant)


ZEROS = bytes(STREAM_WINDOW)


def test_grants_come_after_so_many_chunks_or_bytes() -> None:
    taken = Taken()
    assert [taken.chunk(1) for _ in range(GRANT_CHUNKS)] == [0] * (GRANT_CHUNKS - 1) + [GRANT_CHUNKS]
    assert [taken.chunk(GRANT_BYTES - 1), taken.chunk(1)] == [0, 2]


def test_an_input_is_sent_as_it_is_granted_and_then_ends_once() -> None:
    given_chunks = Input()
    for size in (1, 2):
        given_chunks.add(body(size))
    given_chunks.add(None)
    assert list(given_chunks.ready(7)) == []
    given_chunks.outflow.granted(1)
    assert [decode(frames[0]).kind for frames in given_chunks.ready(7)] == [Kind.CHUNK]
    given_chunks.outflow.granted(1)
    assert [decode(frames[0]).kind for frames in given_chunks.ready(7)] == [Kind.CHUNK, Kind.END]
    assert list(given_chunks.ready(7)) == []


def test_an_input_without_chunks_ends_when_its_worker_has_begun_and_may_begin_again_elsewhere() -> None:
    given_chunks = Input()
    given_chunks.add(None)
    for call_id in (7, 8):
        assert list(given_chunks.ready(call_id)) == []
        given_chunks.outflow.granted(32)
        assert [decode(frames[0]).kind for frames in given_chunks.ready(call_id)] == [Kind.END]
        assert not given_chunks.has_begun
        given_chunks.restart()
