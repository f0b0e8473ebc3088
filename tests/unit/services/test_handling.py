"""What becomes of a call inside a worker: the reply, or an error from the tree."""

from __future__ import annotations

import logging
from typing import Any

import msgpack
import pytest

from clients.config import Config
from clients.errors import (
    BackendError,
    BadRequest,
    Cancelled,
    DeadlineExceeded,
    Internal,
    NotFound,
    UnknownMethod,
)
from clients.packing import pack, unpack_raw
from clients.wire import Envelope, Kind, Method
from services.handling import Handling
from services.service import Call
from tests.unit.services.trial_desk import COUNT, FAIL, SAY, Desk, Say


@pytest.fixture
def desk() -> Desk:
    return Desk(Config())


@pytest.fixture
def handling(desk: Desk) -> Handling:
    return Handling(desk)


def a_call(now: float = 0.0, deadline: float = 30.0) -> Call:
    return Call(deadline, lambda: now)


def serve(
    handling: Handling, method: Method[Any, Any, Any], request: object, call: Call | None = None, emit: Any = None
) -> Any:
    envelope = Envelope(Kind.CALL, 1, method=method.key, body=pack(request).body)
    return unpack_raw(handling.serve(envelope, [], call or a_call(), emit or (lambda _: None)))


def test_a_reply_is_packed(handling: Handling) -> None:
    assert serve(handling, SAY, Say("hello")) == {"text": "hello"}
    assert handling.names == ["desk.count", "desk.fail", "desk.say"]


def test_events_are_emitted_and_what_the_generator_returns_is_the_reply(handling: Handling, desk: Desk) -> None:
    events: list[object] = []
    assert serve(handling, COUNT, Say("3"), emit=events.append) == {"text": "done"}
    assert events == [Say("0"), Say("1"), Say("2")]
    assert desk.closed == ["3"]


def test_a_generator_whose_reader_left_is_closed_at_once(handling: Handling, desk: Desk) -> None:
    def leave(_event: object) -> None:
        raise Cancelled("the reader left")

    with pytest.raises(Cancelled):
        serve(handling, COUNT, Say("1000"), emit=leave)
    assert desk.closed == ["1000"]


def test_errors_of_the_tree_pass_as_they_are(handling: Handling) -> None:
    with pytest.raises(NotFound, match="no such thing"):
        serve(handling, FAIL, Say("missing"))


@pytest.mark.parametrize("text", ["a secret", "exit"])
def test_any_other_exception_is_internal_with_an_id_that_stands_in_the_log(
    handling: Handling, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(Internal) as caught:
        serve(handling, FAIL, Say(text))
    assert "a secret" not in caught.value.message
    mark = caught.value.message.rpartition("[")[2].rstrip("]")
    assert f"desk.fail failed [{mark}]" in caplog.text
    assert "Traceback" in caplog.text


def test_out_of_memory_says_what_to_do(handling: Handling) -> None:
    with pytest.raises(BackendError, match="out of memory") as caught:
        serve(handling, FAIL, Say("memory"))
    assert "send less at a time" in caught.value.help


def test_a_reply_that_cannot_travel_is_the_services_fault(handling: Handling) -> None:
    with pytest.raises(Internal, match=r"desk\.say failed: TypeError"):
        serve(handling, SAY, Say("a set"))


def test_an_unknown_method_and_a_wrong_request_are_the_callers_fault(handling: Handling) -> None:
    with pytest.raises(UnknownMethod, match="desk serves no method"):
        handling.serve(Envelope(Kind.CALL, 1, method=12345), [], a_call(), lambda _: None)
    with pytest.raises(BadRequest, match="unknown key 'txt'"):
        serve(handling, SAY, {"txt": "a"})
    with pytest.raises(BadRequest, match="not readable msgpack"):
        handling.serve(Envelope(Kind.CALL, 1, method=SAY.key, body=b"\xc1"), [], a_call(), lambda _: None)
    with pytest.raises(BadRequest, match="1 buffers were announced"):
        handling.serve(Envelope(Kind.CALL, 1, method=SAY.key, num_buffers=1), [], a_call(), lambda _: None)


def test_nobody_works_on_a_call_whose_time_is_over_or_whose_caller_is_gone(handling: Handling, desk: Desk) -> None:
    with pytest.raises(DeadlineExceeded):
        serve(handling, SAY, Say("late"), a_call(now=31.0))
    gone = a_call()
    gone.cancelled.set()
    with pytest.raises(Cancelled):
        serve(handling, SAY, Say("gone"), gone)
    assert desk.num_said == 0


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"\xc1", "not readable msgpack"),
        (msgpack.packb({"cmd": "ANY"}), "unsupported command 'ANY' of desk"),
        (msgpack.packb({"cmd": "\udcff"}, unicode_errors="surrogatepass"), "not readable msgpack"),
        (msgpack.packb([1]), "a text 'cmd'"),
    ],
)
def test_the_older_profile_answers_failures_as_code_400(handling: Handling, raw: bytes, told: str) -> None:
    answer = msgpack.unpackb(handling.legacy(raw, a_call()))
    assert answer["code"] == 400
    assert told in answer["error"]


def test_a_note_is_told_and_one_that_fails_stops_nothing(handling: Handling, desk: Desk) -> None:
    assert handling.note() == "fine"
    desk.line = "x" * 100_000
    assert len(handling.note()) <= 8000
    desk.line = ""
    assert "note failed: ValueError" in handling.note()
