"""Envelopes and failures come back as they were; anything else is refused."""

from __future__ import annotations

import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.errors import BY_REASON, BadRequest, Busy, NotFound, RagqError, VersionMismatch
from clients.packing import MAX_BUFFERS, pack, unpack_raw
from clients.wire import (
    HEADER,
    MAX_META,
    MAX_TTL_MS,
    Envelope,
    Flag,
    Kind,
    Method,
    Nothing,
    decode,
    failure_envelope,
    message,
    method_key,
    payload_of,
    peek,
    read_failure,
    to_ms,
    unary,
)

ENVELOPES = st.builds(
    Envelope,
    kind=st.sampled_from(Kind), id=st.integers(0, 2**64 - 1),
    flags=st.integers(0, 2**16 - 1).map(lambda flags: flags & ~Flag.TRACED),
    trace=st.sampled_from([b"", bytes(range(26))]),
    status=st.integers(0, 255), attempt=st.integers(0, 255), ttl_ms=st.integers(0, 2**32 - 1),
    seq=st.integers(0, 2**32 - 1), method=st.integers(0, 2**32 - 1), meta=st.binary(max_size=100),
    body=st.binary(max_size=100), num_buffers=st.integers(0, MAX_BUFFERS),
)  # fmt: skip


@given(ENVELOPES)
def test_an_envelope_comes_back(envelope: Envelope) -> None:
    assert decode(envelope.encode()) == envelope
    assert decode(memoryview(envelope.encode())) == envelope


@given(st.binary(max_size=100) | st.binary(max_size=80).map(lambda tail: b"RQ\x01" + tail))
@settings(max_examples=200)
def test_any_other_bytes_are_refused_and_nothing_else(frame: bytes) -> None:
    with suppress(BadRequest, VersionMismatch):
        decode(frame)


@given(ENVELOPES, st.integers(0, HEADER.size - 1), st.integers(0, 255))
def test_a_flipped_byte_is_refused_or_read(envelope: Envelope, place: int, value: int) -> None:
    frame = bytearray(envelope.encode())
    frame[place] = value
    with suppress(BadRequest, VersionMismatch):
        decode(bytes(frame))


def test_lengths_that_do_not_fit_are_refused_by_who_reads_the_header_alone() -> None:
    frame = Envelope(Kind.CALL, 1).encode()
    for counts in (b"\x01\x00\x00\x00", (MAX_META + 1).to_bytes(4, "little"), bytes([0, 0, 0, MAX_BUFFERS + 1])):
        with pytest.raises(BadRequest, match="lengths do not fit"):
            peek(frame[:-4] + counts)


def test_a_newer_version_is_told_both_numbers() -> None:
    with pytest.raises(VersionMismatch, match="version 2 meets version 1"):
        peek(b"RQ\x02" + bytes(29))


def test_a_message_is_its_envelope_and_the_frames_beside_it() -> None:
    head, *buffers = message(Envelope(Kind.REPLY, 5), pack({"data": b"x" * 100_000}))
    envelope = decode(head)
    assert (envelope.num_buffers, len(buffers)) == (1, 1)
    assert unpack_raw(payload_of(envelope, buffers)) == {"data": b"x" * 100_000}
    with pytest.raises(BadRequest, match="1 buffers were announced, 0 came"):
        payload_of(envelope, [])


def test_a_long_body_sets_its_flag() -> None:
    head, *buffers = message(Envelope(Kind.REPLY, 5), pack({"text": "x" * 600_000}))
    assert decode(head).flags & Flag.BODY_IN_BUFFERS
    assert unpack_raw(payload_of(decode(head), buffers)) == {"text": "x" * 600_000}


@pytest.mark.parametrize("kind", BY_REASON.values(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_wire_comes_back_as_itself(kind: type[RagqError]) -> None:
    error = kind("what happened", help="what to do", retry_after_s=1.5)
    back = read_failure(decode(failure_envelope(9, error, "worker").encode()))
    assert type(back) is kind
    assert (back.message, back.help, back.retry_after_s) == ("what happened", "what to do", 1.5)


class Odd(NotFound):
    """What a plug-in may do."""

    code = 404
    reason = "ODD"


@pytest.mark.parametrize(
    "error",
    [
        Odd("mine"),
        RagqError("x" * 10**6, help="y" * 10**6),
        RagqError("half \ud800 pair"),
        RagqError(ValueError("no text")),  # type: ignore[arg-type]  # on purpose
        Busy("full", retry_after_s=float("inf")),
        Busy("full", retry_after_s=float("nan")),
        Busy("full", retry_after_s=-1),
    ],
    ids=["code", "long", "surrogate", "no text", "infinite", "no number", "negative"],
)
def test_an_odd_error_still_travels(error: RagqError) -> None:
    frame = failure_envelope(9, error, "worker").encode()
    assert len(frame) <= HEADER.size + MAX_META
    assert isinstance(read_failure(decode(frame)), RagqError)


def test_an_error_of_a_later_version_falls_back_to_its_code() -> None:
    from clients.packing import pack_map

    meta = pack_map({"reason": "BRAND_NEW", "message": "m"})
    assert type(read_failure(Envelope(Kind.ERROR, 1, status=5, meta=meta))) is NotFound
    assert type(read_failure(Envelope(Kind.ERROR, 1, status=99, meta=meta))) is RagqError


def test_a_failure_without_readable_meta_is_refused() -> None:
    with pytest.raises(BadRequest):
        read_failure(Envelope(Kind.ERROR, 1, status=5, meta=b"\xc1"))


@given(st.floats())
def test_any_time_fits_the_header(seconds: float) -> None:
    assert 0 <= to_ms(seconds) <= MAX_TTL_MS


def test_a_methods_number_is_the_crc_of_its_name_and_version() -> None:
    assert method_key("llm.embed") == zlib.crc32(b"llm.embed/1")
    method = unary("echo.say", Nothing, Nothing, idempotent=False)
    assert (method.service, method.key, method.idempotent) == ("echo", method_key("echo.say"), False)
    assert Method("a.b", Nothing, Nothing, Nothing) == unary("a.b", Nothing, Nothing)
