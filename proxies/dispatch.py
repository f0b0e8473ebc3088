"""Which worker gets which call, and what becomes of it; no socket, the clock is handed in.

A call waits, runs and ends; it ends exactly once. Events go in as method calls, and what has to be
sent comes out as actions, in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from clients.errors import Cancelled
from clients.greetings import Beat, Ready
from clients.wire import Flag, method_key
from proxies.actions import Action, CancelAt, Reset
from proxies.admission import Admission
from proxies.assigning import Assignment
from proxies.books import Books
from proxies.limits import USUAL, Limits
from proxies.losses import Cause
from proxies.parties import Call, Client, Key, Worker, in_order
from proxies.roster import Roster

GRACE_S = 15.0
LOST_AFTER_S = 1.5
LOOK_EVERY_S = 0.25
WORKERS_FAULT = frozenset({2, 13, 14})
NOTHING: Iterator[Action] = iter(())


class Dispatcher:
    """The calls and workers of one service.

    Attributes:
        calls: every call that has not ended at its worker, answered or not.
        clients: those with unanswered calls, by routing id.
        workers: by routing id.
    """

    def __init__(self, now: float, limits: Limits = USUAL, chance: Random | None = None) -> None:
        self._books = Books()
        self.calls = self._books.calls
        self.clients = self._books.clients
        self.waiting = self._books.waiting
        self.tally = self._books.tally
        self._timers = self._books.timers
        self._roster = Roster(chance)
        self.workers = self._roster.workers
        self._assignment = Assignment(self._books, self._roster)
        self._admission = Admission(limits, self.waiting, self._roster)
        self._now = self._look_at = self._lonely_since = now

    @property
    def is_draining(self) -> bool:
        """Whether new calls are refused because the proxy is about to end."""
        return self._admission.is_closed

    @property
    def num_waiting(self) -> int:
        """Calls that wait for a slot."""
        return len(self.waiting)

    @property
    def limits(self) -> Limits:
        """How much it takes in."""
        return self._admission.limits

    def actions(self) -> Iterator[Action]:
        """What has to be sent, once."""
        return self._taken() if self._books.actions else NOTHING

    def _taken(self) -> Iterator[Action]:
        books = self._books
        while books.actions:
            actions, books.actions = books.actions, []
            yield from actions

    # -- clients -----------------------------------------------------------------------------

    def call(self, call: Call, now: float) -> None:
        """A call came in."""
        if call.key in self.calls:
            return
        self._now = now
        self.tally.calls += 1
        call.number = self.tally.calls
        client = self.clients.get(call.key[0]) or Client()
        worker = None
        refusal = self._admission.refusal(call, client, now)
        if refusal is None and not (self.waiting.num and self.waiting.has(call.method)):
            worker = self._roster.choose(call.method, now)
        if refusal is None and worker is None:
            refusal = self._admission.queue_refusal(call, now)
        if refusal is not None:
            self._books.refuse(call, refusal)
            return
        self._books.enter(call, client)
        if worker is not None:
            self._assignment.give(call, worker, now)
        else:
            self.waiting.add(call)
            self._assignment.assign(call.method, now)

    def cancel(self, key: Key) -> None:
        """The client gave up."""
        call = self.calls.get(key)
        if call is not None and not call.is_answered:
            self._books.answer_early(call, Cancelled("the call was cancelled"), self._now)

    def client_gone(self, client: bytes) -> None:
        """The client is not there any more; nobody needs its calls, and nobody is told."""
        known = self.clients.get(client)
        for call in in_order(known.calls) if known is not None else ():
            self._books.abandon(call, self._now)

    # -- workers -----------------------------------------------------------------------------

    def ready(self, worker_id: bytes, ready: Ready, methods: frozenset[int], now: float) -> None:
        """A worker offers itself, for the first time or again.

        One that comes over another connection keeps its calls: what got lost with the old one, beats will tell.
        """
        self._now = now
        for name in ready.methods:
            self.tally.serves(method_key(name), name)
        worker = self.workers.get(worker_id)
        if worker is not None and worker.ready.uuid == ready.uuid:
            self._roster.update(worker, ready, methods, now)
            worker.heard(now)
        else:
            worker = self._enrol(Worker(worker_id, ready, methods, beat_at=now, since=now), now)
        self._assignment.serve(worker, now)

    def _enrol(self, worker: Worker, now: float) -> Worker:
        self.gone(worker.id, now)
        old = self._roster.of_uuid(worker.ready.uuid)
        if old is not None:
            self.tally.losses[Cause.RECONNECTED] += 1
            self._roster.remove(old)
            worker.take_over(old)
        self._roster.add(worker, now)
        for call in self.calls.values():  # it did not die with them: only its connection was lost
            if call.losses:
                call.losses -= {worker.ready.uuid}
        return worker

    def beat(self, worker_id: bytes, beat: Beat, held: frozenset[Key], now: float) -> None:
        """A worker is alive and tells which calls it holds; a call that it misses twice got lost on the way."""
        self._now = now
        worker = self.workers.get(worker_id)
        if worker is None:
            self._books.actions.append(Reset(worker_id))
            return
        worker.beat = beat
        orphans = held - {call.key for call in worker.running}
        worker.orphans = len(orphans)
        self._books.actions += [CancelAt(worker_id, key) for key in orphans]
        has_room = worker.heard(now)
        lost = [call for call in worker.running if call.was_missed(held, now - LOST_AFTER_S)]
        if lost:
            self._assignment.lose(lost, worker, Cause.MISSED, now)
        elif has_room:
            self._assignment.serve(worker, now)

    def drain_worker(self, worker_id: bytes) -> bool:
        """A worker wants no new calls; whether it is known."""
        worker = self.workers.get(worker_id)
        if worker is not None:
            worker.is_draining = True
            worker.settle()
        return worker is not None

    def gone(self, worker_id: bytes, now: float, *, died: bool = True) -> None:
        """A worker, or only its connection, is not there any more; its calls go to another one or fail."""
        self._now = now
        worker = self.workers.get(worker_id)
        if worker is None:
            return
        self._roster.remove(worker)
        if not self.workers:
            self._lonely_since = now
        cause = Cause.DIED if died else Cause.RECONNECTED
        self.tally.losses[Cause.LEFT if worker.is_draining else cause] += 1
        if worker.is_draining:
            self.tally.left.append(worker.ready.uuid)
        self._assignment.lose(worker.running, worker, cause, now)

    def undelivered(self, call: Call, worker_id: bytes, now: float) -> None:
        """The worker was gone before the call reached it; another one may take it, whatever its kind."""
        self._now = now
        if self._held(worker_id, call.key) is call:
            self._assignment.take_back(call)
        self.gone(worker_id, now)

    def nack(self, worker_id: bytes, key: Key, now: float) -> None:
        """A worker has not begun a call, because it has as many as it can take; another one may."""
        call = self._held(worker_id, key)
        if call is None or call.worker is None:
            return
        self._now = now
        self.tally.nacks += 1
        call.worker.refuse(call)
        self._assignment.take_back(call)
        self._assignment.assign(call.method, now)

    def chunk(self, worker_id: bytes, key: Key) -> bool:
        """A worker sent a piece of a stream; whether the client wants it."""
        call = self._held(worker_id, key)
        if call is None:
            return False
        call.is_pinned = True
        self.tally.chunks += 1
        return not call.is_answered

    def credited(self, worker_id: bytes, key: Key) -> bool:
        """A worker asks a client for chunks; whether the client is there. From now on the call stays where it is."""
        call = self._held(worker_id, key)
        if call is None or not call.flags & Flag.STREAMS_INPUT:
            return False
        call.is_pinned = True
        return not call.is_answered

    def input_of(self, key: Key) -> bytes | None:
        """The worker that gets what a client sends to its call; None when nobody takes it."""
        call = self.calls.get(key)
        return None if call is None or call.is_answered or call.worker is None else call.worker.id

    def replied(
        self, worker_id: bytes, key: Key, now: float, *, failed: bool, code: int = 2, reason: str = ""
    ) -> Call | None:
        """A worker ended a call; the call if its client waits for the answer, else None.

        Args:
            worker_id: who sent it.
            key: the call.
            now: the time.
            failed: whether it is an ERROR; then ``code`` and ``reason`` tell which.
            code: gRPC number of the error.
            reason: its stable word.
        """
        call = self.calls.get(key)
        if call is None or (worker := call.worker) is None or worker.id != worker_id:
            self.tally.late_replies += 1
            return None
        self._now = now
        worker.ended(call, now, is_sound=not failed or code not in WORKERS_FAULT)
        is_awaited = not call.is_answered
        self._books.forget(call)
        if not is_awaited:
            self.tally.late_replies += 1
        elif failed:
            self.tally.failed_with(call.method, code, reason)
        else:
            self.tally.answered(call.method, call.dispatched - call.arrived, now - call.dispatched)
        if self.waiting.num:
            self._assignment.serve(worker, now)
        return call if is_awaited else None

    def _held(self, worker_id: bytes, key: Key) -> Call | None:
        call = self.calls.get(key)
        held = call is not None and call.worker is not None and call.worker.id == worker_id
        return call if held else None

    # -- time --------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Time has passed."""
        self._now = now
        for call in self._timers.expired(now):
            self._books.expire(call, now)
        for call, worker in self._timers.overdue(now):
            worker.note_stuck(call, now)
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            self._look_after_workers(now)
        if self.waiting and not self.workers and now - self._lonely_since > GRACE_S:
            self._books.give_up_waiting(now)

    def _look_after_workers(self, now: float) -> None:
        for worker in list(self.workers.values()):
            if worker.has_clogged(now):
                worker.is_clogged = True
                worker.settle()
            if worker.has_stalled(now):
                worker.is_stalled = True
                self.tally.losses[Cause.STALLED] += 1
                self._assignment.lose(worker.running, worker, Cause.STALLED, now)

    def next_timer(self, now: float) -> float:
        """Seconds until ``tick`` has something to do, at most one."""
        return max(0.0, self._timers.next_at(now + 1.0) - now)

    def drain(self) -> None:
        """Take no new calls."""
        self._admission.is_closed = True

    def abandon(self) -> None:
        """Fail everything that is left."""
        self._books.close(self._now)
