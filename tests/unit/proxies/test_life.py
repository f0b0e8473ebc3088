"""Any events in any order, and what must always hold."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from clients.errors import Busy, Draining, OverLimit, RagqError, UnknownMethod
from proxies.actions import CancelAt, Dispatch, Fail
from proxies.limits import Limits
from proxies.parties import Call, Key, Worker
from tests.unit.proxies.desk import AGAIN, BULK, EMBED, INPUT, ONCE, SEARCH, Desk

LIMITS = Limits(max_waiting=8, max_waiting_bytes=100, max_client_calls=6, max_client_bytes=90)
CLIENTS = st.sampled_from([b"c", b"d", b"e"])
METHODS = st.sampled_from([(EMBED, SEARCH), (EMBED,), (SEARCH,)])
SELDOM = st.sampled_from([False, False, False, True])
PICK = st.integers(0, 11)
SLOTS = st.sampled_from([2, 1, 3, 2, 0])
FLAGS = st.sampled_from([ONCE, AGAIN, AGAIN | BULK, ONCE | INPUT, AGAIN | INPUT])


class Life(RuleBasedStateMachine):
    """A service with its clients and workers, of which anything may happen to any at any time."""

    @initialize()
    def begin(self) -> None:
        self.desk = Desk(LIMITS)
        self.accepted: list[Call] = []
        self.ended: Counter[Key] = Counter()
        self.sent: Counter[Key] = Counter()
        self.handed_back: Counter[Key] = Counter()
        self.draining: set[bytes] = set()
        self.refusing: set[bytes] = set()
        self.most_slots: Counter[str] = Counter({"a": 2, "b": 2})
        self.names = [self.desk.worker(name, 2, (EMBED, SEARCH)) for name in "ab"]
        self.num_refused = 0

    def worker_at(self, pick: int) -> bytes:
        """One of the workers that are there, or the one that was struck off last."""
        names = [*self.desk.dispatcher.workers, self.names[-1], self.names[0]]
        return names[pick % len(names)]

    def call_at(self, pick: int) -> Call:
        """One of the calls that have not ended, or one that has."""
        calls = [*self.desk.dispatcher.calls.values(), self.accepted[-1], self.accepted[0]]
        return calls[pick % len(calls)]

    def worker_of(self, call: Call) -> bytes:
        return call.worker.id if call.worker else b"stranger"

    def open_calls(self, client: bytes | None = None) -> list[Call]:
        return [c for c in self.accepted if not self.ended[c.key] and client in (None, c.key[0])]

    # -- events: workers -------------------------------------------------------------------------

    @rule(slots=SLOTS, methods=METHODS, uuid=st.sampled_from(["", "", "", "u"]),
          max_stall_s=st.sampled_from([60.0, 5.0, 0.0]))  # fmt: skip
    def ready(self, slots: int, methods: tuple[int, ...], uuid: str, max_stall_s: float) -> None:
        name = f"w{len(self.names)}"
        self.most_slots[uuid or name] = max(self.most_slots[uuid or name], slots)
        self.names.append(self.desk.worker(name, slots, methods, uuid, max_stall_s))
        self.look()

    @precondition(lambda self: self.names)
    @rule(worker=PICK, slots=SLOTS, methods=METHODS)
    def ready_again(self, worker: int, slots: int, methods: tuple[int, ...]) -> None:
        name = self.worker_at(worker)
        known = self.desk.dispatcher.workers.get(name)
        if known is not None:
            self.refusing.discard(name)
            self.most_slots[known.ready.uuid] = max(self.most_slots[known.ready.uuid], slots)
            self.desk.worker(name.decode(), slots, methods, known.ready.uuid, known.ready.max_stall_s)
        self.look()

    @precondition(lambda self: self.names)
    @rule(worker=PICK, lists=st.sampled_from(["all", "none", "half", "more"]))
    def beat(self, worker: int, lists: str) -> None:
        name = self.worker_at(worker)
        known = self.desk.dispatcher.workers.get(name)
        held = sorted(call.key for call in known.running) if known else []
        others = [call.key for call in self.accepted[-3:]] if lists == "more" else []
        part = {"none": 0, "half": len(held) // 2}.get(lists, len(held))
        self.refusing.discard(name)
        self.desk.beat_keys(name, frozenset(held[:part] + others))
        self.look()

    @precondition(lambda self: self.names)
    @rule(worker=PICK, died=st.booleans(), happens=SELDOM)
    def gone(self, worker: int, died: bool, happens: bool) -> None:
        if not happens:
            return
        name = self.worker_at(worker)
        self.desk.dispatcher.gone(name, self.desk.now, died=died)
        assert name not in self.desk.dispatcher.workers
        self.look()

    @precondition(lambda self: self.names)
    @rule(worker=PICK, happens=SELDOM)
    def drain_worker(self, worker: int, happens: bool) -> None:
        name = self.worker_at(worker)
        if happens and self.desk.dispatcher.drain_worker(name):
            self.draining.add(name)
        self.look()

    @precondition(lambda self: self.accepted)
    @rule(call=PICK, has_lost_its_worker=st.booleans())
    def hand_back(self, call: int, has_lost_its_worker: bool) -> None:
        picked = self.call_at(call)
        worker = self.worker_of(picked)
        if picked.key in self.desk.dispatcher.calls and picked.worker is not None:
            self.handed_back[picked.key] += 1
            self.refusing.add(worker)
        if has_lost_its_worker:
            self.desk.dispatcher.undelivered(picked, worker, self.desk.now)
        else:
            self.desk.dispatcher.nack(worker, picked.key, self.desk.now)
        self.look()

    @precondition(lambda self: self.names and self.accepted)
    @rule(call=PICK, worker=PICK)
    def what_comes_from_strangers_is_dropped(self, call: int, worker: int) -> None:
        dispatcher = self.desk.dispatcher
        picked, name = self.call_at(call), self.worker_at(worker)
        if picked.key in dispatcher.calls:
            dispatcher.call(picked, self.desk.now)
        if name != self.worker_of(picked):
            assert not dispatcher.chunk(name, picked.key)
            assert not dispatcher.credited(name, picked.key)
            assert dispatcher.replied(name, picked.key, self.desk.now, failed=False) is None
            dispatcher.nack(name, picked.key, self.desk.now)
        assert self.desk.actions() == []

    # -- events: calls ---------------------------------------------------------------------------

    @rule(method=st.sampled_from([EMBED, SEARCH]), flags=FLAGS,
          ttl_s=st.sampled_from([30.0, 3.0, 0.3]), client=CLIENTS, size=st.sampled_from([1, 20]),
          num=st.integers(1, 4))  # fmt: skip
    def calls(self, method: int, flags: int, ttl_s: float, client: bytes, size: int, num: int) -> None:
        for _ in range(num):
            self.call(method, flags, ttl_s, client, size)

    def call(self, method: int, flags: int, ttl_s: float, client: bytes, size: int) -> None:
        own = self.open_calls(client)
        is_over = len(own) >= LIMITS.max_client_calls or sum(c.size for c in own) + size > LIMITS.max_client_bytes
        call = self.desk.call(method, flags, ttl_s, client, size)
        errors = self.look()
        if call.key in self.desk.dispatcher.calls or self.ended[call.key] == 0:
            assert not is_over
            self.accepted.append(call)
            return
        self.num_refused += 1
        assert isinstance(errors[-1], OverLimit) == (is_over and not isinstance(errors[-1], Draining))
        assert isinstance(errors[-1], Busy | UnknownMethod | Draining)

    @precondition(lambda self: self.accepted)
    @rule(call=PICK, failed=st.booleans(), code=st.sampled_from([3, 13]))
    def reply(self, call: int, failed: bool, code: int) -> None:
        picked = self.call_at(call)
        self.reply_of(self.worker_of(picked), picked, failed=failed, code=code)

    @precondition(lambda self: self.accepted)
    @rule(call=PICK, asks=st.booleans())
    def stream(self, call: int, asks: bool) -> None:
        picked = self.call_at(call)
        worker, is_open = self.worker_of(picked), not self.ended[picked.key]
        sends = self.desk.dispatcher.credited if asks else self.desk.dispatcher.chunk
        wanted = sends(worker, picked.key)
        is_held = picked.worker is not None and is_open
        assert wanted == (is_held and (not asks or bool(picked.flags & INPUT)))
        assert self.desk.dispatcher.input_of(picked.key) == (worker if is_held else None)
        self.look()

    def reply_of(self, worker: bytes, call: Call, *, failed: bool, code: int) -> None:
        if call.key in self.desk.dispatcher.calls and worker == self.worker_of(call):
            self.refusing.discard(worker)
        delivered = self.desk.dispatcher.replied(worker, call.key, self.desk.now, failed=failed, code=code)
        if delivered is not None:
            assert worker == self.worker_of(call)
            self.ended[delivered.key] += 1
        self.look()

    @precondition(lambda self: self.accepted)
    @rule(call=PICK)
    def cancel(self, call: int) -> None:
        picked = self.call_at(call)
        self.desk.dispatcher.cancel(picked.key)
        self.look()
        assert self.ended[picked.key] == 1

    @rule(client=CLIENTS, happens=SELDOM)
    def client_gone(self, client: bytes, happens: bool) -> None:
        if not happens:
            return
        left = self.open_calls(client)
        self.desk.dispatcher.client_gone(client)
        for call in left:
            self.ended[call.key] += 1
        self.look()

    # -- events: time ----------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 2.5, 20.0]), beats=st.sampled_from([True, True, False]))
    def time(self, seconds: float, beats: bool) -> None:
        self.desk.wait(seconds)
        self.look()
        assert all(call.deadline > self.desk.now for call in self.open_calls())
        for worker in list(self.desk.dispatcher.workers.values()) if beats else ():
            self.refusing.discard(worker.id)
            self.desk.beat(worker.id, *worker.running)
            self.look()

    @precondition(lambda self: len(self.names) > 7)
    @rule()
    def drain(self) -> None:
        self.desk.dispatcher.drain()

    # -- what comes out --------------------------------------------------------------------------

    def look(self) -> list[RagqError]:
        """Read what has to be sent, and let nothing pass that must not be; the errors among it."""
        errors = []
        for action in self.desk.actions():
            match action:
                case Dispatch(call, worker, _):
                    self.look_at_dispatch(call, self.desk.dispatcher.workers[worker])
                case CancelAt(worker, _):
                    assert worker in self.desk.dispatcher.workers
                case Fail(call, error):
                    self.ended[call.key] += 1
                    errors.append(error)
        return errors

    def look_at_dispatch(self, call: Call, worker: Worker) -> None:
        assert self.ended[call.key] == 0
        assert self.sent[call.key] == 0 or call.flags & AGAIN or self.handed_back[call.key]
        assert self.sent[call.key] == 0 or not call.is_pinned
        assert worker.id not in self.draining | self.refusing
        assert worker.state(self.desk.now) == "ready"
        assert call.method in worker.methods
        assert worker.ready.uuid not in call.losses
        assert len(worker.running) + worker.orphans <= worker.ready.slots
        older = [c for c in self.desk.dispatcher.waiting if c.number < call.number]
        alike = [c for c in older if (c.method, c.flags & BULK) == (call.method, call.flags & BULK)]
        first = [c for c in alike if self.sent[c.key] or (c.key[0] == call.key[0] and not self.sent[call.key])]
        assert all(worker.ready.uuid in c.losses for c in first)
        self.sent[call.key] += 1

    # -- what always holds -----------------------------------------------------------------------

    @invariant()
    def every_call_ends_once_at_most(self) -> None:
        assert all(count == 1 for count in self.ended.values())

    @invariant()
    def a_call_is_sent_again_only_if_it_may_run_again_or_did_not_begin(self) -> None:
        once = [call for call in self.accepted if not call.flags & AGAIN]
        assert all(self.sent[call.key] <= 1 + self.handed_back[call.key] for call in once)

    @invariant()
    def no_call_was_given_up_by_more_than_two_dead_workers(self) -> None:
        assert all(len(call.losses) < 2 for call in self.desk.dispatcher.calls.values())

    @invariant()
    def no_worker_holds_more_than_its_slots(self) -> None:
        for worker in self.desk.dispatcher.workers.values():
            assert 0 <= len(worker.running) <= self.most_slots[worker.ready.uuid]
            assert all(call.worker is worker for call in worker.running)
            assert worker.num_stuck == sum(call.is_stuck for call in worker.running)

    @invariant()
    def no_call_waits_while_a_worker_could_take_it(self) -> None:
        now = self.desk.now
        for worker in self.desk.dispatcher.workers.values():
            has_room = len(worker.running) + worker.orphans < worker.ready.slots
            if has_room and worker.state(now) == "ready" and worker.id not in self.refusing:
                waiting = [call for call in self.desk.dispatcher.waiting if call.method in worker.methods]
                assert all(worker.ready.uuid in call.losses for call in waiting)

    @invariant()
    def the_queue_keeps_its_bounds(self) -> None:
        waiting = self.desk.dispatcher.waiting
        new = [call for call in waiting if not self.sent[call.key]]
        assert len(new) <= LIMITS.max_waiting
        assert sum(call.size for call in new) <= LIMITS.max_waiting_bytes
        assert sum(waiting.nums) == waiting.num == len(list(waiting))

    @invariant()
    def the_books_agree(self) -> None:
        dispatcher = self.desk.dispatcher
        queued = list(dispatcher.waiting)
        running = [call for worker in dispatcher.workers.values() for call in worker.running]
        assert dispatcher.waiting.num_bytes == sum(call.size for call in queued)
        assert Counter(c.key for c in queued + running) == Counter(dict.fromkeys(dispatcher.calls, 1))
        assert {c.key for c in running} == {key for key, call in dispatcher.calls.items() if call.worker is not None}
        left = {call.key for call in self.open_calls()}
        assert left == {key for key, call in dispatcher.calls.items() if not call.is_answered}

    @invariant()
    def each_client_is_charged_for_what_it_has_under_way(self) -> None:
        clients = self.desk.dispatcher.clients
        assert set(clients) == {call.key[0] for call in self.open_calls()}
        for name, client in clients.items():
            own = self.open_calls(name)
            assert client.calls == set(own)
            assert client.num_bytes == sum(call.size for call in own) <= LIMITS.max_client_bytes
            assert len(own) <= LIMITS.max_client_calls

    @invariant()
    def timers_do_not_pile_up(self) -> None:
        assert self.desk.dispatcher.next_timer(self.desk.now) >= 0
        assert len(self.desk.dispatcher._timers) <= 3 * len(self.accepted)

    def teardown(self) -> None:
        dispatcher = self.desk.dispatcher
        dispatcher.abandon()
        self.look()
        assert all(self.ended[call.key] == 1 for call in self.accepted)
        for worker in list(dispatcher.workers):
            self.desk.gone(worker)
        self.look()
        self.desk.wait(200.0)
        assert (dispatcher.calls, dispatcher.clients, list(dispatcher.waiting)) == ({}, {}, [])
        assert (dispatcher.waiting.num_bytes, dispatcher.waiting.num, len(dispatcher._timers)) == (0, 0, 0)
        assert dispatcher.tally.calls == len(self.accepted) + self.num_refused
        assert sum(dispatcher.tally.refusals.values()) == self.num_refused


class TestLife(Life.TestCase):  # type: ignore[misc]  # Hypothesis makes the class when it runs
    """A short look, in every run."""

    settings = settings(max_examples=20, stateful_step_count=40, deadline=None)


@pytest.mark.slow
@pytest.mark.timeout(900)
class TestLongLife(Life.TestCase):  # type: ignore[misc]  # Hypothesis makes the class when it runs
    """A long look."""

    settings = settings(max_examples=800, stateful_step_count=60, deadline=None)
