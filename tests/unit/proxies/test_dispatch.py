"""Which worker gets which call, with the clock in the test's hands; and any order of events at once."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from clients.errors import (
    Busy,
    Cancelled,
    DeadlineExceeded,
    Draining,
    Internal,
    RagqError,
    UnknownMethod,
    Unreachable,
    WorkerLost,
)
from clients.wire import Beat, Flag, Ready
from proxies.actions import Action, CancelAt, Dispatch, Fail, Reset
from proxies.dispatch import GRACE_S, Dispatcher
from proxies.limits import Limits
from proxies.parties import Call

EMBED, SEARCH = 1, 2
ONCE, AGAIN = 0, int(Flag.IDEMPOTENT)


class Desk:
    """A dispatcher with a clock and short words for what happens to it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.dispatcher = Dispatcher(self.now)
        self._num_calls = 0

    def worker(self, name: str, slots: int = 1, methods: tuple[int, ...] = (EMBED,), uuid: str = "") -> bytes:
        ready = Ready(uuid or name, 1, "host", "llm", [], slots)
        self.dispatcher.ready(name.encode(), ready, frozenset(methods), self.now)
        return name.encode()

    def call(
        self, method: int = EMBED, flags: int = AGAIN, ttl_s: float = 30.0, client: bytes = b"c", size: int = 10
    ) -> Call:
        self._num_calls += 1
        call = Call((client, self._num_calls), method, flags, [], self.now, self.now + ttl_s, size)
        self.dispatcher.call(call, self.now)
        return call

    def reply(self, call: Call, *, failed: bool = False) -> Call | None:
        assert call.worker is not None
        return self.dispatcher.replied(call.worker.id, call.key, self.now, failed=failed)

    def gone(self, worker: bytes) -> None:
        self.dispatcher.gone(worker, self.now)

    def beat(self, worker: bytes, *held: Call) -> None:
        self.dispatcher.beat(worker, Beat(), frozenset(call.key for call in held), self.now)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.dispatcher.tick(self.now)

    def actions(self) -> list[Action]:
        return list(self.dispatcher.actions())

    def sent_to(self) -> list[tuple[Call, bytes]]:
        return [(a.call, a.worker) for a in self.actions() if isinstance(a, Dispatch)]

    def failures(self) -> list[tuple[Call, type[RagqError]]]:
        return [(a.call, type(a.error)) for a in self.actions() if isinstance(a, Fail)]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_call_goes_to_the_worker_with_a_free_slot(desk: Desk) -> None:
    first, second = desk.worker("a"), desk.worker("b")
    calls = [desk.call() for _ in range(3)]
    assert {worker for _, worker in desk.sent_to()} == {first, second}
    assert calls[2].worker is None
    assert desk.dispatcher.num_waiting == 1


def test_waiting_calls_are_served_in_their_order(desk: Desk) -> None:
    calls = [desk.call() for _ in range(3)]
    desk.worker("a")
    order = []
    for call in calls:
        order += desk.sent_to()
        desk.reply(call)
    assert [call for call, _ in order] == calls
    assert desk.dispatcher.tally.calls == 3


def test_the_time_in_the_queue_is_told_to_the_worker(desk: Desk) -> None:
    desk.call()
    desk.wait(1.5)
    desk.worker("a")
    (dispatch,) = desk.actions()
    assert isinstance(dispatch, Dispatch)
    assert dispatch.waited_ms == 1500


def test_a_method_with_many_calls_starves_no_other(desk: Desk) -> None:
    desk.worker("a", methods=(EMBED, SEARCH))
    flood = [desk.call(EMBED)]
    desk.wait(0.1)
    flood += [desk.call(EMBED) for _ in range(5)]
    desk.wait(0.1)
    search = desk.call(SEARCH)
    desk.wait(0.1)
    for _ in range(5):
        flood += [desk.call(EMBED)]
        busy = next(c for c in [*flood, search] if c.worker is not None and c.key in desk.dispatcher.calls)
        desk.reply(busy)
    desk.reply(next(c for c in flood if c.worker is not None and c.key in desk.dispatcher.calls))
    assert search.worker is not None


def test_a_worker_gets_only_methods_that_it_serves(desk: Desk) -> None:
    desk.worker("a", slots=8, methods=(EMBED,))
    searcher = desk.worker("b", methods=(SEARCH,))
    desk.call(SEARCH)
    desk.call(SEARCH)
    assert [worker for _, worker in desk.sent_to()] == [searcher]


def test_a_fast_worker_is_preferred_and_an_idle_mesh_takes_turns(desk: Desk) -> None:
    slow, fast = desk.worker("slow", slots=4), desk.worker("fast", slots=4)
    taken = Counter[bytes]()
    for _ in range(20):
        call = desk.call()
        assert call.worker is not None
        taken[call.worker.id] += 1
        desk.now += 1.0 if call.worker.id == slow else 0.01
        for worker in (slow, fast):
            desk.beat(worker, call)
        desk.reply(call)
    assert taken[fast] > 15
    assert taken[slow] >= 1


def test_a_method_that_nobody_serves_is_refused_only_while_workers_are_there(desk: Desk) -> None:
    waits = desk.call(SEARCH)
    desk.worker("a")
    refused = desk.call(SEARCH)
    assert desk.failures() == [(refused, UnknownMethod)]
    assert waits.key in desk.dispatcher.calls


def test_a_full_queue_refuses_and_says_when_to_come_back(desk: Desk) -> None:
    for _ in range(Limits().max_waiting):
        desk.call(size=1)
    refused = desk.call(size=1)
    (failure,) = [a for a in desk.actions() if isinstance(a, Fail)]
    assert failure.call is refused
    assert isinstance(failure.error, Busy)
    assert failure.error.retry_after_s > 0
    desk.worker("a")
    desk.call(size=1)
    assert desk.failures() == []


def test_the_queue_is_limited_in_bytes_too(desk: Desk) -> None:
    desk.call(size=Limits().max_waiting_bytes)
    refused = desk.call(size=1)
    assert desk.failures() == [(refused, Busy)]


def test_a_call_that_comes_twice_counts_once(desk: Desk) -> None:
    desk.worker("a", slots=2)
    call = desk.call()
    desk.dispatcher.call(Call(call.key, EMBED, AGAIN, [], desk.now, desk.now + 1, 1), desk.now)
    assert len(desk.sent_to()) == 1
    assert desk.dispatcher.tally.calls == 1


def test_a_cancelled_call_in_the_queue_is_forgotten_at_once(desk: Desk) -> None:
    call = desk.call()
    desk.dispatcher.cancel(call.key)
    assert desk.failures() == [(call, Cancelled)]
    assert (len(desk.dispatcher.calls), desk.dispatcher.num_waiting) == (0, 0)


def test_a_cancelled_call_keeps_its_slot_until_the_worker_ends_it(desk: Desk) -> None:
    worker = desk.worker("a")
    call, waits = desk.call(), desk.call()
    desk.actions()
    desk.dispatcher.cancel(call.key)
    desk.dispatcher.cancel(call.key)
    assert [type(a) for a in desk.actions()] == [Fail, CancelAt]
    assert waits.worker is None
    assert desk.reply(call, failed=True) is None
    assert desk.sent_to() == [(waits, worker)]


def test_a_client_that_is_gone_takes_its_calls_with_it(desk: Desk) -> None:
    desk.worker("a")
    running, queued, other = desk.call(client=b"x"), desk.call(client=b"x"), desk.call(client=b"y")
    desk.actions()
    desk.dispatcher.client_gone(b"x")
    assert desk.failures() == [(running, Cancelled), (queued, Cancelled)]
    assert desk.reply(running) is None
    assert other.worker is not None


@pytest.mark.parametrize("has_worker", [True, False])
def test_a_call_whose_time_is_over_is_answered_on_time(desk: Desk, has_worker: bool) -> None:
    if has_worker:
        desk.worker("a")
    call = desk.call(ttl_s=0.5)
    assert desk.dispatcher.next_timer(desk.now) == 0.5
    desk.wait(0.4)
    assert desk.failures() == []
    desk.wait(0.1)
    assert desk.failures() == [(call, DeadlineExceeded)]
    if has_worker:
        assert desk.reply(call) is None
    assert desk.dispatcher.calls == {}


def test_without_a_worker_calls_are_given_up_after_a_grace(desk: Desk) -> None:
    call = desk.call()
    desk.wait(GRACE_S)
    assert desk.failures() == []
    desk.wait(0.1)
    assert desk.failures() == [(call, Unreachable)]


def test_a_lost_workers_idempotent_call_goes_to_another_before_all_that_wait(desk: Desk) -> None:
    first = desk.worker("a")
    call, waits = desk.call(), desk.call()
    desk.gone(first)
    second = desk.worker("b")
    assert desk.sent_to()[-1] == (call, second)
    assert waits.worker is None
    assert desk.dispatcher.tally.requeued == 1


def test_a_lost_workers_other_call_fails(desk: Desk) -> None:
    worker = desk.worker("a")
    desk.worker("b")
    call = desk.call(flags=ONCE)
    desk.actions()
    assert call.worker is not None
    desk.gone(call.worker.id)
    assert desk.failures() == [(call, WorkerLost)]
    assert worker


def test_a_stream_of_which_the_client_has_seen_a_piece_is_not_begun_again(desk: Desk) -> None:
    worker = desk.worker("a")
    call = desk.call()
    assert desk.dispatcher.chunk(worker, call.key)
    desk.gone(worker)
    assert desk.failures() == [(call, WorkerLost)]


def test_a_call_that_two_workers_died_with_is_not_given_to_a_third(desk: Desk) -> None:
    call = desk.call()
    for name in ("a", "b"):
        desk.gone(desk.worker(name))
    desk.worker("c")
    assert desk.failures() == [(call, Internal)]


def test_a_worker_that_only_lost_its_connection_takes_its_call_again(desk: Desk) -> None:
    desk.gone(desk.worker("a", uuid="u")) if desk.call() else None
    (call,) = desk.dispatcher.calls.values()
    desk.actions()
    back = desk.worker("a2", uuid="u")
    assert desk.sent_to() == [(call, back)]


def test_a_reconnected_workers_old_row_is_retired(desk: Desk) -> None:
    desk.worker("a", uuid="u")
    call = desk.call()
    back = desk.worker("a2", uuid="u")
    assert list(desk.dispatcher.workers) == [back]
    assert call.losses == set()
    assert call.worker is not None
    assert call.worker.id == back


def test_a_call_that_could_not_be_handed_over_goes_to_another_whatever_its_kind(desk: Desk) -> None:
    desk.worker("a")
    call = desk.call(flags=ONCE)
    ((_, worker),) = desk.sent_to()
    other = desk.worker("b")
    desk.dispatcher.undelivered(call, worker, desk.now)
    assert desk.sent_to() == [(call, other)]
    desk.dispatcher.undelivered(call, worker, desk.now)
    assert call.worker is not None
    assert desk.actions() == []


def test_a_call_that_two_beats_do_not_list_was_lost_on_its_way(desk: Desk) -> None:
    worker = desk.worker("a")
    call = desk.call()
    desk.actions()
    desk.beat(worker)
    desk.wait(1.6)
    desk.beat(worker)
    assert desk.actions() == []
    desk.beat(worker)
    assert desk.sent_to() == [(call, worker)]
    assert call.losses == set()


def test_a_beat_that_lists_a_call_clears_the_doubt(desk: Desk) -> None:
    worker = desk.worker("a")
    call = desk.call()
    desk.actions()
    desk.wait(1.6)
    for _ in range(5):
        desk.beat(worker)
        desk.beat(worker, call)
    assert desk.actions() == []


def test_a_silent_worker_gets_no_new_calls_until_it_beats_again(desk: Desk) -> None:
    worker = desk.worker("a", slots=2)
    running = desk.call()
    desk.wait(2.1)
    call = desk.call()
    assert call.worker is None
    desk.actions()
    desk.beat(worker, running)
    assert desk.sent_to() == [(call, worker)]


def test_a_draining_worker_gets_no_new_calls_and_ends_its_own(desk: Desk) -> None:
    worker = desk.worker("a", slots=2)
    call = desk.call()
    assert desk.dispatcher.drain_worker(worker)
    assert not desk.dispatcher.drain_worker(b"unknown")
    assert desk.call().worker is None
    assert desk.reply(call) is call


def test_an_unknown_worker_is_asked_to_present_itself(desk: Desk) -> None:
    desk.beat(b"stranger")
    assert desk.actions() == [Reset(b"stranger")]


def test_answers_of_strangers_and_answers_too_many_are_dropped(desk: Desk) -> None:
    worker = desk.worker("a")
    call = desk.call()
    assert desk.dispatcher.replied(b"stranger", call.key, desk.now, failed=False) is None
    assert not desk.dispatcher.chunk(b"stranger", call.key)
    assert desk.reply(call) is call
    assert desk.dispatcher.replied(worker, call.key, desk.now, failed=False) is None


def test_a_draining_proxy_refuses_new_calls_and_abandons_the_rest_in_the_end(desk: Desk) -> None:
    desk.worker("a")
    running, queued = desk.call(), desk.call()
    desk.dispatcher.drain()
    refused = desk.call()
    assert desk.failures() == [(refused, Draining)]
    desk.dispatcher.abandon()
    assert desk.failures() == [(running, Unreachable), (queued, Unreachable)]


def test_a_call_that_a_worker_refuses_goes_to_another_whatever_its_kind(desk: Desk) -> None:
    desk.worker("a", slots=2)
    call = desk.call(flags=ONCE)
    ((_, worker),) = desk.sent_to()
    other = desk.worker("b")
    desk.dispatcher.nack(worker, call.key, desk.now)
    assert desk.sent_to() == [(call, other)]
    assert (desk.dispatcher.tally.nacks, desk.dispatcher.tally.requeued) == (1, 0)


def test_a_worker_that_refused_gets_nothing_until_it_is_heard_of_again(desk: Desk) -> None:
    worker = desk.worker("a", slots=2)
    call = desk.call()
    desk.dispatcher.nack(worker, call.key, desk.now)
    later = desk.call()
    assert (call.worker, later.worker) == (None, None)
    desk.actions()
    desk.beat(worker)
    assert desk.sent_to() == [(call, worker), (later, worker)]


def test_what_a_client_sends_to_its_call_goes_to_the_worker_that_has_it(desk: Desk) -> None:
    call = desk.call(flags=AGAIN | Flag.STREAMS_INPUT)
    assert desk.dispatcher.input_of(call.key) is None
    worker = desk.worker("a")
    assert desk.dispatcher.input_of(call.key) == worker
    assert desk.dispatcher.credited(worker, call.key)
    assert not desk.dispatcher.credited(b"stranger", call.key)
    desk.dispatcher.cancel(call.key)
    assert not desk.dispatcher.credited(worker, call.key)
    assert desk.dispatcher.input_of(call.key) is None


def test_a_call_whose_client_streams_is_not_begun_again(desk: Desk) -> None:
    worker = desk.worker("a")
    call = desk.call(flags=AGAIN | Flag.STREAMS_INPUT)
    desk.dispatcher.credited(worker, call.key)
    desk.gone(worker)
    assert desk.failures() == [(call, WorkerLost)]


class Life(RuleBasedStateMachine):
    """Any events in any order; what must always hold."""

    workers = Bundle("workers")
    calls = Bundle("calls")

    @initialize()
    def begin(self) -> None:
        self.desk = Desk()
        self.accepted: list[Call] = []
        self.ended: Counter[tuple[bytes, int]] = Counter()
        self.sent: Counter[tuple[bytes, int]] = Counter()
        self.draining: set[bytes] = set()
        self.num_workers = 0

    # -- events ----------------------------------------------------------------------------------

    @rule(target=workers, slots=st.integers(0, 3), methods=st.sampled_from([(EMBED,), (SEARCH,), (EMBED, SEARCH)]),
          uuid=st.sampled_from(["", "u", "v"]))  # fmt: skip
    def ready(self, slots: int, methods: tuple[int, ...], uuid: str) -> bytes:
        self.num_workers += 1
        worker = self.desk.worker(f"w{self.num_workers}", slots, methods, uuid)
        self.look()
        return worker

    @rule(worker=workers)
    def ready_again(self, worker: bytes) -> None:
        known = self.desk.dispatcher.workers.get(worker)
        if known is not None:
            self.desk.dispatcher.ready(worker, known.ready, known.methods, self.desk.now)
        self.look()

    @rule(target=calls, method=st.sampled_from([EMBED, SEARCH]), flags=st.sampled_from([ONCE, AGAIN]),
          ttl_s=st.sampled_from([0.3, 3.0, 30.0]), client=st.sampled_from([b"c", b"d"]))  # fmt: skip
    def call(self, method: int, flags: int, ttl_s: float, client: bytes) -> Call:
        call = self.desk.call(method, flags, ttl_s, client)
        self.accepted.append(call)
        self.look()
        return call

    @rule(call=calls, failed=st.booleans())
    def reply(self, call: Call, failed: bool) -> None:
        worker = call.worker.id if call.worker else b"stranger"
        delivered = self.desk.dispatcher.replied(worker, call.key, self.desk.now, failed=failed)
        if delivered is not None:
            self.ended[delivered.key] += 1
        self.look()

    @rule(call=calls, worker=workers)
    def reply_from_anyone(self, call: Call, worker: bytes) -> None:
        delivered = self.desk.dispatcher.replied(worker, call.key, self.desk.now, failed=False)
        if delivered is not None:
            self.ended[delivered.key] += 1
        self.look()

    @rule(call=calls)
    def chunk(self, call: Call) -> None:
        wanted = self.desk.dispatcher.chunk(call.worker.id if call.worker else b"stranger", call.key)
        assert not (wanted and self.ended[call.key])
        self.look()

    @rule(call=calls)
    def cancel(self, call: Call) -> None:
        self.desk.dispatcher.cancel(call.key)
        self.look()

    @rule(worker=workers, lists_its_calls=st.booleans())
    def beat(self, worker: bytes, lists_its_calls: bool) -> None:
        known = self.desk.dispatcher.workers.get(worker)
        held = list(known.running.values()) if known and lists_its_calls else []
        self.desk.beat(worker, *held)
        self.look()

    @rule(worker=workers, died=st.booleans())
    def gone(self, worker: bytes, died: bool) -> None:
        self.desk.dispatcher.gone(worker, self.desk.now, died=died)
        self.look()

    @rule(client=st.sampled_from([b"c", b"d"]))
    def client_gone(self, client: bytes) -> None:
        self.desk.dispatcher.client_gone(client)
        self.look()

    @rule(worker=workers)
    def drain_worker(self, worker: bytes) -> None:
        if self.desk.dispatcher.drain_worker(worker):
            self.draining.add(worker)
        self.look()

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 2.5, 20.0]))
    def time(self, seconds: float) -> None:
        self.desk.wait(seconds)
        self.look()
        for call in self.accepted:
            assert self.ended[call.key] == 1 or call.deadline > self.desk.now

    # -- what comes out --------------------------------------------------------------------------

    def look(self) -> None:
        for action in self.desk.actions():
            match action:
                case Dispatch(call, worker, _):
                    self.sent[call.key] += 1
                    row = self.desk.dispatcher.workers[worker]
                    assert self.ended[call.key] == 0
                    assert worker not in self.draining
                    assert not row.is_suspect(self.desk.now)
                    assert call.method in row.methods
                case Fail(call, error):
                    assert isinstance(error, RagqError)
                    self.ended[call.key] += 1

    @invariant()
    def every_call_ends_once_at_most(self) -> None:
        assert all(count == 1 for count in self.ended.values())

    @invariant()
    def what_must_run_once_is_sent_once(self) -> None:
        assert all(self.sent[call.key] <= 1 for call in self.accepted if call.flags == ONCE)

    @invariant()
    def no_worker_holds_more_than_its_slots(self) -> None:
        for worker in self.desk.dispatcher.workers.values():
            assert len(worker.running) <= worker.ready.slots
            assert all(call.worker is worker for call in worker.running.values())

    @invariant()
    def the_books_agree(self) -> None:
        dispatcher = self.desk.dispatcher
        queued = list(dispatcher._waiting)
        running = [call for worker in dispatcher.workers.values() for call in worker.running.values()]
        assert dispatcher.num_waiting == len(queued)
        assert dispatcher._waiting.num_bytes == sum(call.size for call in queued)
        assert Counter(c.key for c in queued + running) == Counter(dict.fromkeys(dispatcher.calls, 1))
        assert all(queue for queue in dispatcher._waiting._by_method.values())
        open_calls = {call.key for call in self.accepted if not self.ended[call.key]}
        assert open_calls == {key for key, call in dispatcher.calls.items() if not call.is_answered}

    def teardown(self) -> None:
        dispatcher = self.desk.dispatcher
        self.desk.wait(60.0)
        self.look()
        for worker in list(dispatcher.workers):
            self.desk.gone(worker)
        self.look()
        assert all(self.ended[call.key] == 1 for call in self.accepted)
        assert (dispatcher.calls, list(dispatcher._waiting), dispatcher._waiting.num_bytes) == ({}, [], 0)
        assert dispatcher.tally.calls == len(self.accepted)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
