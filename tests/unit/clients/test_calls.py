"""A client's calls: each ends exactly once, whatever comes and when, over however many lines."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from clients import errors
from clients.errors import BadRequest, Cancelled, ConnectionLost, DataLoss, DeadlineExceeded, Unreachable
from clients.line import UNWELCOMED_CALLS, State
from clients.packing import Payload
from clients.pending import Pending
from clients.wire import Envelope, Kind, failure_envelope

from .wires import Bench, Wire


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.up()
    return bench


@pytest.fixture
def pair() -> Bench:
    bench = Bench(2)
    bench.up()
    return bench


def failure(call: Pending, error: errors.RagqError) -> Envelope:
    return failure_envelope(call.id, error, "proxy")


def test_a_reply_ends_its_call_and_no_other(bench: Bench) -> None:
    first, second = bench.call(), bench.call()
    bench.answer(second)
    assert isinstance(second.outcome, Payload)
    assert (first.outcome, len(bench.calls), bench.ended) == (None, 1, [second])


def test_an_error_ends_its_call(bench: Bench) -> None:
    call = bench.call()
    bench.refuse(call, failure(call, errors.NotFound("gone", help="look")))
    assert isinstance(call.outcome, errors.NotFound)
    assert (call.outcome.message, call.outcome.help) == ("gone", "look")


def test_an_unreadable_answer_ends_its_call_with_the_reason(bench: Bench) -> None:
    call = bench.call()
    bench.hear(bench.line(), Envelope(Kind.REPLY, call.id, num_buffers=2))
    assert isinstance(call.outcome, BadRequest)
    assert len(bench.calls) == 0


def test_late_unknown_and_foreign_answers_are_dropped(pair: Bench) -> None:
    call = pair.call()
    line = call.line
    assert line is not None
    other = next(known for known in pair.calls.lines.current if known is not line)
    pair.hear(other, Envelope(Kind.REPLY, call.id, body=b"\x80"))
    assert call.outcome is None
    pair.answer(call)
    pair.hear(line, Envelope(Kind.REPLY, call.id, body=b"\x80"))
    pair.hear(line, Envelope(Kind.ERROR, 99))
    pair.calls.heard(line, [b"no envelope"], pair.now)
    assert pair.ended == [call]


def test_messages_that_end_nothing_are_ignored(bench: Bench) -> None:
    call = bench.call()
    for kind in (Kind.PING, Kind.CALL, Kind.CREDIT, Kind.READY):
        bench.answer(call, kind)
    assert call.outcome is None


def test_a_stream_hands_over_its_chunks_in_order_and_then_ends(bench: Bench) -> None:
    chunks: list[Payload] = []
    call = bench.call(chunks=chunks)
    for seq in range(3):
        bench.answer(call, Kind.CHUNK, seq)
    bench.answer(call, Kind.END, 3)
    assert len(chunks) == 3
    assert isinstance(call.outcome, Payload)


@pytest.mark.parametrize("seqs", [[1], [0, 2], [0, 0]])
def test_a_gap_in_a_stream_is_never_silent(bench: Bench, seqs: list[int]) -> None:
    call = bench.call(chunks=[])
    for seq in seqs:
        bench.answer(call, Kind.CHUNK, seq)
    assert isinstance(call.outcome, DataLoss)
    assert f"chunk {len(seqs) - 1} was due, {seqs[-1]} came" in call.outcome.message


def test_a_stream_that_ends_early_is_never_silent(bench: Bench) -> None:
    call = bench.call(chunks=[])
    bench.answer(call, Kind.CHUNK, 0)
    bench.answer(call, Kind.END, 5)
    assert isinstance(call.outcome, DataLoss)
    assert "5 chunks were sent, 1 came" in call.outcome.message


def test_a_chunk_for_a_call_that_streams_nothing_is_an_error_and_its_worker_is_told(bench: Bench) -> None:
    call = bench.call()
    bench.answer(call, Kind.CHUNK, 0)
    assert isinstance(call.outcome, DataLoss)
    assert bench.wire().kinds() == [Kind.CALL, Kind.CANCEL]


def test_a_call_that_nobody_takes_is_given_up_after_two_seconds() -> None:
    bench = Bench()
    call = bench.call()
    bench.wait(1.9)
    assert call.outcome is None
    bench.wait(0.2)
    assert isinstance(call.outcome, Unreachable)
    assert "nobody answers at tcp://127.0.0.1:1" in call.outcome.message
    bench.up()
    assert bench.wire().calls() == []


def test_a_call_that_nobody_takes_says_so_also_when_its_time_is_over_first() -> None:
    bench = Bench()
    call = bench.call(ttl_s=0.5)
    bench.wait(0.5)
    assert isinstance(call.outcome, Unreachable)


def test_a_call_that_was_sent_has_until_its_deadline(bench: Bench) -> None:
    call = bench.call()
    bench.wait(29.9)
    assert call.outcome is None
    bench.wait(0.1)
    assert isinstance(call.outcome, DeadlineExceeded)
    assert bench.wire().kinds().count(Kind.CANCEL) == 1


def test_a_call_waits_for_a_line_that_is_not_up_yet() -> None:
    bench = Bench(2)
    call = bench.call()
    assert call.line is None
    bench.up(1)
    assert call.line is bench.line(1)


def test_a_line_greets_its_proxy_before_anything_else() -> None:
    bench = Bench()
    bench.call()
    bench.up()
    assert [envelope.kind for envelope in bench.wire().sent] == [Kind.HELLO, Kind.CALL]


def test_a_call_goes_to_the_line_with_the_fewest_own_calls() -> None:
    bench = Bench(3)
    bench.up()
    for _ in range(9):
        bench.call()
    assert [line.num_calls for line in bench.calls.lines.current] == [3, 3, 3]


def test_a_broken_lines_idempotent_calls_go_to_another_with_their_deadline(pair: Bench) -> None:
    calls = [pair.call() for _ in range(10)]
    pair.wait(0.6)
    pair.lose(pair.line(0))
    assert {call.line for call in calls} == {pair.line(1)}
    moved = [envelope for envelope in pair.wire(1).calls() if envelope.attempt == 1]
    assert len(moved) == 5
    assert {envelope.ttl_ms for envelope in moved} <= {29_399, 29_400}
    for call in calls:
        pair.answer(call)
    assert len(pair.ended) == 10


def test_a_broken_lines_other_calls_end_with_what_is_known_of_them(pair: Bench) -> None:
    calls = [pair.call(idempotent=False) for _ in range(4)]
    broken, address = pair.line(0), pair.line(0).address
    pair.lose(broken)
    lost = [call for call in calls if call.outcome is not None]
    assert len(lost) == 2
    for call in lost:
        assert isinstance(call.outcome, ConnectionLost)
        assert f"the connection to {address} broke during trial.echo; it was sent" in call.outcome.message


def test_a_stream_moves_only_before_its_first_chunk(pair: Bench) -> None:
    begun, fresh = pair.call(chunks=[]), pair.call(chunks=[])
    pair.answer(begun, Kind.CHUNK, 0)
    for line in list(pair.calls.lines.current):
        if line.num_calls and line is begun.line:
            pair.lose(line)
    assert isinstance(begun.outcome, ConnectionLost)
    assert "after 1 chunks had come" in begun.outcome.message
    assert fresh.outcome is None


def test_a_call_is_sent_three_times_at_most(bench: Bench) -> None:
    call = bench.call()
    for _ in range(2):
        bench.lose(bench.line())
        bench.up()
    assert call.attempt == 2
    bench.lose(bench.line())
    assert isinstance(call.outcome, ConnectionLost)


def test_a_call_that_was_not_sent_survives_every_break() -> None:
    bench = Bench()
    call = bench.call(idempotent=False, ttl_s=60)
    for _ in range(5):
        bench.lose(bench.line())
        bench.wait(1.0)
    bench.up()
    assert call.attempt == 0
    bench.answer(call)
    assert isinstance(call.outcome, Payload)


def test_a_proxy_that_leaves_finishes_its_calls_and_gets_no_more(pair: Bench) -> None:
    old = [pair.call(idempotent=False) for _ in range(2)]
    leaving, wire = pair.line(0), pair.wire(0)
    pair.bye(leaving)
    new = [pair.call(idempotent=False) for _ in range(4)]
    assert {call.line for call in new} == {pair.line(1)}
    for call in old:
        pair.answer(call)
    assert all(isinstance(call.outcome, Payload) for call in old)
    assert wire.kinds() == [Kind.CALL, Kind.BYE]
    assert wire.is_closed


def test_a_line_without_calls_says_bye_at_once_and_meets_the_successor(bench: Bench) -> None:
    wire = bench.wire()
    bench.bye(bench.line())
    assert wire.kinds() == [Kind.BYE]
    call = bench.call(idempotent=False)
    bench.wait(5.0)
    assert call.outcome is None
    bench.up()
    assert call.line is None, "it may still be the one that leaves"
    bench.welcome()
    assert bench.wire() is not wire
    assert call.line is bench.line()


def test_a_successor_that_does_not_come_is_said() -> None:
    bench = Bench()
    bench.up()
    bench.bye(bench.line())
    call = bench.call()
    bench.wait(15.0)
    assert isinstance(call.outcome, errors.Draining)


def test_a_refusal_because_the_proxy_leaves_moves_any_call_at_once_and_free(pair: Bench) -> None:
    calls = [pair.call(idempotent=False) for _ in range(40)]
    for call in [call for call in calls if call.line is pair.line(0)]:
        pair.refuse(call, failure(call, errors.Draining("leaving")))
    assert {call.line for call in calls} == {pair.line(1)}
    assert {call.attempt for call in calls} == {0}


def test_a_line_that_leaves_and_breaks_ends_its_calls_by_the_usual_rules(pair: Bench) -> None:
    safe, unsafe = pair.call(), pair.call(idempotent=False)
    for line in list(pair.calls.lines.current):
        pair.bye(line)
        pair.lose(line)
    assert isinstance(unsafe.outcome, ConnectionLost)
    assert safe.outcome is None
    pair.wait(0.2)
    pair.up()
    pair.welcome(1)
    assert safe.line is pair.line(1)


def test_busy_is_tried_again_after_its_time_whatever_the_method(bench: Bench) -> None:
    call = bench.call(idempotent=False)
    bench.refuse(call, failure(call, errors.Busy("full", retry_after_s=0.5)))
    bench.wait(0.4)
    assert len(bench.wire().calls()) == 1
    bench.wait(0.2)
    assert [envelope.attempt for envelope in bench.wire().calls()] == [0, 1]
    first, second = bench.wire().calls()
    assert first.id != second.id


def test_a_lost_worker_is_tried_again_only_for_idempotent_methods(bench: Bench) -> None:
    safe, unsafe = bench.call(), bench.call(idempotent=False)
    for call in (safe, unsafe):
        bench.refuse(call, failure(call, errors.WorkerLost("died")))
    assert isinstance(unsafe.outcome, errors.WorkerLost)
    bench.wait(0.1)
    assert safe.attempt == 1


def test_a_silent_proxy_is_asked_and_then_gets_no_new_calls(pair: Bench) -> None:
    held = pair.call()
    silent = held.line
    assert silent is not None
    pair.wait(1.0)
    assert pair.wires[pair.calls.lines.current.index(silent)].kinds() == [Kind.CALL, Kind.PING]
    pair.wait(1.1)
    assert {pair.call().line for _ in range(5)} == {line for line in pair.calls.lines.current if line is not silent}
    assert held.outcome is None
    pair.hear(silent, Envelope(Kind.PONG, 0))
    assert pair.call().line is silent


def test_a_silent_proxy_is_used_when_there_is_no_other(bench: Bench) -> None:
    bench.call()
    bench.wait(5.0)
    assert bench.call().line is bench.line()


def test_an_idle_proxy_is_not_asked(pair: Bench) -> None:
    pair.wait(60.0)
    assert pair.wire(0).kinds() == pair.wire(1).kinds() == []


def test_a_refused_client_is_told_at_once_and_tries_again_after_half_a_minute() -> None:
    bench = Bench()
    waiting = bench.call()
    bench.calls.refused(bench.line(), errors.Unauthenticated("unknown key"), bench.now)
    assert isinstance(waiting.outcome, errors.Unauthenticated)
    assert isinstance(bench.call().outcome, errors.Unauthenticated)
    bench.wait(30.0)
    assert bench.wire().num_renewed == 1
    assert bench.call().outcome is None


def test_a_client_that_one_proxy_refuses_uses_the_other() -> None:
    bench = Bench(2)
    call = bench.call()
    bench.calls.refused(bench.line(0), errors.Unauthenticated("unknown key"), bench.now)
    assert call.outcome is None
    bench.up(1)
    assert call.line is bench.line(1)


def test_a_proxys_limit_of_calls_is_kept(bench: Bench) -> None:
    bench.welcome(max_calls=2)
    calls = [bench.call() for _ in range(3)]
    assert len(bench.wire().calls()) == 2
    bench.answer(calls[0])
    assert len(bench.wire().calls()) == 3


def test_a_proxy_that_has_not_named_its_limit_gets_few_calls_until_it_does(bench: Bench) -> None:
    for _ in range(UNWELCOMED_CALLS + 10):
        bench.call()
    assert len(bench.wire().calls()) == UNWELCOMED_CALLS
    bench.welcome()
    bench.wait(0.0)
    assert len(bench.wire().calls()) == UNWELCOMED_CALLS + 10


def test_what_a_full_line_does_not_take_waits_for_room(bench: Bench) -> None:
    bench.wire().is_full = True
    call = bench.call()
    bench.calls.grant(call, 1)
    bench.wire().is_full = False
    bench.wait(0.1)
    assert bench.wire().kinds() == [Kind.CALL]


def test_a_cancelled_call_ends_and_only_the_other_side_of_a_sent_one_is_told() -> None:
    bench = Bench()
    waits = bench.call()
    bench.calls.cancel(waits)
    bench.up()
    sent = bench.call()
    bench.calls.cancel(sent)
    bench.calls.cancel(sent)
    assert bench.wire().kinds() == [Kind.CALL, Kind.CANCEL]
    assert all(isinstance(call.outcome, Cancelled) for call in (sent, waits))


def test_closing_ends_everything_and_tells_of_what_was_sent(bench: Bench) -> None:
    bench.welcome()
    sent, paused = bench.call(), bench.call()
    bench.refuse(paused, failure(paused, errors.Busy("full", retry_after_s=5)))
    wire = bench.wire()
    bench.calls.close(lambda name: Cancelled(f"closed during {name}"))
    assert all(isinstance(call.outcome, Cancelled) for call in (sent, paused))
    assert wire.kinds() == [Kind.CALL, Kind.CALL, Kind.CANCEL, Kind.BYE]
    assert wire.is_closed


def test_the_moments_of_ended_calls_are_forgotten(bench: Bench) -> None:
    for _ in range(3000):
        bench.answer(bench.call())
    assert len(bench.calls._timers) < 1000


class Life(RuleBasedStateMachine):
    """Any order of events on any number of lines: every call ends exactly once."""

    @initialize(num_lines=st.integers(1, 3))
    def begin(self, num_lines: int) -> None:
        self.bench, self.all = Bench(num_lines), list[Pending]()

    def some_line(self, data: st.DataObject) -> object:
        return data.draw(st.sampled_from(self.bench.calls.lines.all))

    @rule(ttl_s=st.sampled_from([0.0, 1.0, 5.0, 60.0]), streams=st.booleans(), idempotent=st.booleans())
    def add(self, ttl_s: float, streams: bool, idempotent: bool) -> None:
        chunks: list[Payload] | None = [] if streams else None
        self.all.append(self.bench.call(ttl_s=ttl_s, chunks=chunks, idempotent=idempotent))

    @rule(data=st.data(), what=st.sampled_from(["up", "lose", "bye", "refuse", "full", "room", "welcome"]))
    def change(self, data: st.DataObject, what: str) -> None:
        lines = self.bench.calls.lines
        line = data.draw(st.sampled_from(lines.all))
        wire = line.connection
        if wire is None:
            return
        assert isinstance(wire, Wire)
        match what:
            case "up" if line.state not in (State.READY, State.DRAINING):
                self.bench.calls.connected(line, self.bench.now)
            case "lose" if line.state in (State.READY, State.DRAINING):
                self.bench.lose(line)
            case "refuse" if line.state in (State.CONNECTING, State.DOWN):
                self.bench.calls.refused(line, errors.Unauthenticated("no"), self.bench.now)
            case "bye" if line.state is State.READY:
                self.bench.bye(line)
            case "full" | "room":
                wire.is_full = what == "full"
            case "welcome" if line.state in (State.READY, State.CONNECTING) and wire.sent and line in lines.current:
                self.bench.welcome(lines.current.index(line), max_calls=data.draw(st.integers(0, 2)))

    @precondition(lambda self: any(call.line is not None for call in self.all))
    @rule(data=st.data(), kind=st.sampled_from([Kind.REPLY, Kind.END, Kind.CHUNK]), seq=st.integers(0, 2))
    def hear(self, data: st.DataObject, kind: Kind, seq: int) -> None:
        call = data.draw(st.sampled_from([call for call in self.all if call.line is not None]))
        self.bench.answer(call, kind, seq)

    @precondition(lambda self: any(call.line is not None for call in self.all))
    @rule(data=st.data(), kind=st.sampled_from([errors.Busy, errors.Draining, errors.WorkerLost, errors.NotFound]))
    def fail(self, data: st.DataObject, kind: type[errors.RagqError]) -> None:
        call = data.draw(st.sampled_from([call for call in self.all if call.line is not None]))
        self.bench.refuse(call, failure(call, kind("no")))

    @precondition(lambda self: self.all)
    @rule(data=st.data(), call_id=st.integers(0, 30), kind=st.sampled_from([Kind.REPLY, Kind.ERROR, Kind.CHUNK]))
    def hear_at_random(self, data: st.DataObject, call_id: int, kind: Kind) -> None:
        line = data.draw(st.sampled_from(self.bench.calls.lines.all))
        self.bench.hear(line, Envelope(kind, call_id))

    @precondition(lambda self: self.all)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.bench.calls.cancel(data.draw(st.sampled_from(self.all)))

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 3.0, 20.0]))
    def wait(self, seconds: float) -> None:
        self.bench.wait(seconds)
        assert all(call.deadline > self.bench.now for call in self.all if call.outcome is None)

    @invariant()
    def what_has_not_ended_is_counted(self) -> None:
        if not hasattr(self, "bench"):
            return
        assert len(self.bench.calls) == sum(call.outcome is None for call in self.all)
        assert len(self.bench.ended) == sum(call.outcome is not None for call in self.all)
        for line in self.bench.calls.lines.all:
            assert line.num_calls == sum(call.line is line for call in self.all)
            assert line.num_calls == 0 or line.state in (State.READY, State.DRAINING)

    @invariant()
    def nothing_waits_beside_a_usable_line(self) -> None:
        if hasattr(self, "bench") and self.bench.calls.lines.is_usable():
            self.bench.calls.tick(self.bench.now)
            idle = [call for call in self.all if call.outcome is None and call.line is None and call.resume_at is None]
            assert not idle or not self.bench.calls.lines.is_usable()

    @invariant()
    def nothing_that_began_or_may_not_run_twice_is_sent_twice(self) -> None:
        assert all(call.attempt <= 2 for call in getattr(self, "all", []))

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            self.bench.calls.close(Cancelled)
            assert len(self.bench.ended) == len(self.all)
            assert all(wire.is_closed for wire in self.bench.wires)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
