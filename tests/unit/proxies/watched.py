"""What must always hold for a dispatcher, whatever happens to it."""

from __future__ import annotations

from collections import Counter

from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from clients.errors import RagqError
from proxies.actions import CancelAt, Dispatch, Fail
from proxies.limits import Limits
from proxies.parties import Call, Key, Worker
from tests.unit.proxies.desk import AGAIN, BULK, EMBED, SEARCH, Desk

LIMITS = Limits(max_waiting=8, max_waiting_bytes=100, max_client_calls=6, max_client_bytes=90)


class Watched(RuleBasedStateMachine):
    """A service whose every message is looked at, and whose books are compared after each event."""

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
