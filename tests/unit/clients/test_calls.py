"""A client's calls: each ends exactly once, whatever comes and when."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from clients.calls import Calls, Pending, Waiter, waiter, waiting
from clients.errors import BadRequest, Cancelled, DataLoss, DeadlineExceeded, NotFound, Unreachable
from clients.packing import Payload, pack
from clients.wire import Envelope, Kind, decode, failure_envelope

ADDRESS = "tcp://127.0.0.1:1"


@pytest.fixture
def calls() -> Calls:
    return Calls(ADDRESS)


def begun(
    calls: Calls, *, is_sent: bool = True, deadline: float = 30.0, chunks: list[Payload] | None = None
) -> Pending:
    call = Pending(calls.next_id(), "trial.echo", lambda _: [], deadline, min(deadline, 2.0))
    call.on_chunk = None if chunks is None else chunks.append
    calls.add(call)
    if is_sent:
        assert calls.first_unsent() is call
        calls.sent(call)
    return call


def reply(call: Pending, kind: Kind = Kind.REPLY, seq: int = 0) -> Envelope:
    return Envelope(kind, call.id, seq=seq, body=pack({}).body)


def test_a_reply_ends_its_call_and_no_other(calls: Calls) -> None:
    first, second = begun(calls), begun(calls)
    calls.heard(reply(second), [])
    assert second.future.result(0).body == b"\x80"
    assert not first.future.done()
    assert len(calls) == 1


def test_an_error_ends_its_call(calls: Calls) -> None:
    call = begun(calls)
    calls.heard(decode(failure_envelope(call.id, NotFound("gone", help="look"), "worker").encode()), [])
    error = call.future.exception(0)
    assert isinstance(error, NotFound)
    assert (error.message, error.help) == ("gone", "look")


def test_an_unreadable_answer_ends_its_call_with_the_reason(calls: Calls) -> None:
    call = begun(calls)
    calls.heard(Envelope(Kind.REPLY, call.id, num_buffers=2), [])
    assert isinstance(call.future.exception(0), BadRequest)
    assert len(calls) == 0


def test_late_and_unknown_answers_are_dropped(calls: Calls) -> None:
    call = begun(calls)
    calls.heard(reply(call), [])
    calls.heard(reply(call), [])
    calls.heard(Envelope(Kind.ERROR, 99), [])
    calls.heard(Envelope(Kind.PING, 0), [])
    assert len(calls) == 0


def test_messages_that_end_nothing_are_ignored(calls: Calls) -> None:
    call = begun(calls)
    for kind in (Kind.PING, Kind.CALL, Kind.CREDIT, Kind.READY):
        calls.heard(Envelope(kind, call.id), [])
    assert not call.future.done()


def test_a_stream_hands_over_its_chunks_in_order_and_then_ends(calls: Calls) -> None:
    chunks: list[Payload] = []
    call = begun(calls, chunks=chunks)
    for seq in range(3):
        calls.heard(reply(call, Kind.CHUNK, seq), [])
    calls.heard(reply(call, Kind.END, 3), [])
    assert len(chunks) == 3
    assert call.future.result(0).body == b"\x80"


@pytest.mark.parametrize("seqs", [[1], [0, 2], [0, 0]])
def test_a_gap_in_a_stream_is_never_silent(calls: Calls, seqs: list[int]) -> None:
    call = begun(calls, chunks=[])
    for seq in seqs:
        calls.heard(reply(call, Kind.CHUNK, seq), [])
    with pytest.raises(DataLoss, match=f"chunk {len(seqs) - 1} was due, {seqs[-1]} came"):
        call.future.result(0)


def test_a_stream_that_ends_early_is_never_silent(calls: Calls) -> None:
    call = begun(calls, chunks=[])
    calls.heard(reply(call, Kind.CHUNK, 0), [])
    calls.heard(reply(call, Kind.END, 5), [])
    with pytest.raises(DataLoss, match="5 chunks were sent, 1 came"):
        call.future.result(0)


def test_a_chunk_for_a_call_that_streams_nothing_is_an_error(calls: Calls) -> None:
    call = begun(calls)
    calls.heard(reply(call, Kind.CHUNK, 0), [])
    assert isinstance(call.future.exception(0), DataLoss)


def test_a_call_that_nobody_takes_is_given_up_after_two_seconds(calls: Calls) -> None:
    call = begun(calls, is_sent=False)
    assert calls.expire(1.9) == []
    assert calls.next_timer() == 2.0
    calls.expire(2.0)
    with pytest.raises(Unreachable, match="nobody answers at"):
        call.future.result(0)
    assert calls.first_unsent() is None


def test_a_call_that_nobody_takes_says_so_also_when_its_time_is_over_first(calls: Calls) -> None:
    call = begun(calls, deadline=0.5, is_sent=False)
    assert calls.expire(0.5) == []
    assert isinstance(call.future.exception(0), Unreachable)


def test_a_call_that_was_sent_has_until_its_deadline(calls: Calls) -> None:
    call = begun(calls)
    calls.expire(29.9)
    assert not call.future.done()
    assert calls.expire(30.0) == [call.id]
    assert isinstance(call.future.exception(0), DeadlineExceeded)
    assert calls.next_timer() is None


def test_a_broken_connection_ends_what_was_sent_and_keeps_what_was_not(calls: Calls) -> None:
    sent, waits = begun(calls), begun(calls, is_sent=False)
    calls.disconnected()
    assert isinstance(sent.future.exception(0), Unreachable)
    assert not waits.future.done()
    assert calls.first_unsent() is waits


def test_a_cancelled_call_ends_and_only_the_other_side_of_a_sent_one_is_told(calls: Calls) -> None:
    sent, waits = begun(calls), begun(calls, is_sent=False)
    assert calls.cancel(sent.id)
    assert not calls.cancel(waits.id)
    assert not calls.cancel(sent.id)
    assert not calls.cancel(99)
    assert isinstance(sent.future.exception(0), Cancelled)
    assert isinstance(waits.future.exception(0), Cancelled)


def test_closing_ends_everything_and_tells_of_what_was_sent(calls: Calls) -> None:
    sent, waits = begun(calls), begun(calls, is_sent=False)
    assert calls.fail_all(lambda name: Cancelled(f"closed during {name}")) == [sent.id]
    for call in (sent, waits):
        with pytest.raises(Cancelled, match=r"closed during trial\.echo"):
            call.future.result(0)


class Life(RuleBasedStateMachine):
    """Any order of events: a call leaves the table when its future ends, and never ends twice."""

    @initialize()
    def begin(self) -> None:
        self.calls, self.now, self.all = Calls(ADDRESS), 0.0, list[Pending]()

    @rule(ttl_s=st.sampled_from([0.0, 1.0, 5.0]), streams=st.booleans())
    def add(self, ttl_s: float, streams: bool) -> None:
        deadline = self.now + ttl_s
        call = Pending(self.calls.next_id(), "m", lambda _: [], deadline, min(deadline, self.now + 2.0))
        call.on_chunk = (lambda _: None) if streams else None
        self.calls.add(call)
        self.all.append(call)

    @rule()
    def send(self) -> None:
        call = self.calls.first_unsent()
        if call is not None:
            self.calls.sent(call)

    @precondition(lambda self: self.all)
    @rule(data=st.data(), kind=st.sampled_from([Kind.REPLY, Kind.END, Kind.CHUNK, Kind.ERROR]), seq=st.integers(0, 2))
    def hear(self, data: st.DataObject, kind: Kind, seq: int) -> None:
        call = data.draw(st.sampled_from(self.all))
        self.calls.heard(reply(call, kind, seq), [])

    @precondition(lambda self: self.all)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.calls.cancel(data.draw(st.sampled_from(self.all)).id)

    @rule()
    def disconnect(self) -> None:
        self.calls.disconnected()

    @rule(seconds=st.sampled_from([0.0, 1.0, 3.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.calls.expire(self.now)
        assert all(call.deadline > self.now for call in self.all if not call.future.done())

    @invariant()
    def the_table_holds_what_has_not_ended(self) -> None:
        assert len(self.calls) == sum(not call.future.done() for call in self.all)

    def teardown(self) -> None:
        self.calls.fail_all(Cancelled)
        assert all(call.future.done() for call in self.all)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_a_waiter_ends_what_is_waited_for_now_and_what_comes_later() -> None:
    ended: list[str] = []
    task = Waiter()
    token = waiter.set(task)
    try:
        with waiting(lambda: ended.append("past")):
            pass
        with waiting(lambda: ended.append("now")):
            task.cancel()
        with waiting(lambda: ended.append("later")):
            pass
    finally:
        waiter.reset(token)
    assert ended == ["now", "later"]
    with waiting(lambda: ended.append("nobody waits")):
        assert ended == ["now", "later"]
