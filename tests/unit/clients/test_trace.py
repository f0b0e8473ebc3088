"""The spans of one request, and how they read."""

from __future__ import annotations

import pytest

from clients.errors import BadRequest
from clients.packing import pack, unpack
from clients.trace import MAX_SPANS, Span, Trace, current, recording, step
from clients.waterfall import waterfall
from clients.wire import TRACE


def span(name: str, began: float, seconds: float, number: int, parent: int = 0, note: str = "") -> Span:
    return Span(name, "here", began, seconds, bytes([number]) * 8, bytes([parent]) * 8 if parent else b"", note)


def test_steps_hang_below_the_step_they_were_made_in() -> None:
    trace = Trace.begin()
    with recording(trace), step("ask"):
        with step("search"):
            pass
        with step("rerank"):
            pass
    search, rerank, ask = trace.spans
    assert (search.name, rerank.name, ask.name) == ("search", "rerank", "ask")
    assert ask.parent == b""
    assert search.parent == rerank.parent == ask.id
    assert ask.seconds >= search.seconds + rerank.seconds


def test_without_a_trace_nothing_is_recorded() -> None:
    with step("ask"):
        assert current.get() is None


def test_a_step_that_fails_says_so_and_lets_the_error_pass() -> None:
    trace = Trace.begin()
    with pytest.raises(BadRequest), recording(trace), step("ask"):
        raise BadRequest("no")
    assert trace.spans[0].note == "BadRequest"
    assert current.get() is None


def test_a_call_carries_the_trace_in_a_block_that_the_other_side_reads() -> None:
    trace = Trace.begin().below(b"12345678")
    there = Trace.of_block(trace.block)
    assert there is not None
    assert (there.id, there.parent, there.spans) == (trace.id, trace.parent, [])
    assert Trace.of_block(b"") is None
    assert Trace.of_block(TRACE.pack(0, trace.id, trace.parent, 0)) is None, "not sampled"


def test_a_header_of_another_system_is_continued() -> None:
    header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert Trace.begin(header).traceparent == header


@pytest.mark.parametrize(
    "header", ["x", "00-4bf9-00f067aa0ba902b7-01", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", "é" * 9, "00-zz-zz-01"]
)
def test_what_is_no_header_is_refused(header: str) -> None:
    with pytest.raises(BadRequest, match="traceparent"):
        Trace.begin(header)


def test_spans_travel_and_stay_within_a_bound() -> None:
    spans = [span("a", 1.5, 0.25, 1)] * (MAX_SPANS + 10)
    trace = Trace.begin()
    trace.add(spans)
    assert len(trace.spans) == MAX_SPANS
    assert unpack(Span, pack(spans[0])) == spans[0]


def test_a_waterfall_shows_when_and_where_the_time_went() -> None:
    text = waterfall([span("search", 10.2, 0.5, 2, 1), span("ask", 10.0, 1.0, 1), span("queue", 10.2, 0.1, 3, 2)])
    ask, search, queue = text.splitlines()
    assert ask.startswith("ask  ")
    assert search.startswith("  search")
    assert queue.startswith("    queue")
    assert "200.0 ms     500.0 ms" in search
    assert ask.count("━") == 32
    assert search.count("━") == 16


def test_a_clock_that_is_behind_does_not_move_a_span_before_its_parent() -> None:
    child = waterfall([span("ask", 10.0, 1.0, 1), span("embed", 3.0, 0.5, 2, 1)]).splitlines()[1]
    assert "0.0 ms     500.0 ms" in child


def test_spans_in_a_circle_end_and_none_at_all_is_said() -> None:
    assert waterfall([span("a", 1.0, 1.0, 1, 2), span("b", 1.0, 1.0, 2, 1)]) == "nothing was recorded"
    assert waterfall([]) == "nothing was recorded"
