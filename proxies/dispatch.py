"""Which worker gets which call, and what becomes of it; no socket, the clock is handed in.

A call waits, runs and ends; it ends exactly once. Events go in as method calls, and what has to be
sent comes out as actions, in order.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

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
from clients.wire import Beat, Flag, Ready, method_key
from proxies.actions import Action, CancelAt, Dispatch, Fail, Reset
from proxies.limits import USUAL, Limits
from proxies.parties import Call, Key, Worker
from proxies.tally import Tally
from proxies.waiting import Waiting

MAX_ATTEMPTS = 2
GRACE_S = 15.0
LOST_AFTER_S = 1.5


class Dispatcher:
    """The calls and workers of one service."""

    def __init__(self, now: float, limits: Limits = USUAL) -> None:
        self.limits = limits
        self.workers: dict[bytes, Worker] = {}
        self.calls: dict[Key, Call] = {}
        self.tally = Tally()
        self.is_draining = False
        self._waiting = Waiting()
        self._timers: list[tuple[float, Key]] = []
        self._lonely_since = now
        self._actions: list[Action] = []

    @property
    def num_waiting(self) -> int:
        """Calls that wait for a slot."""
        return len(self._waiting)

    def actions(self) -> Iterator[Action]:
        """What has to be sent, once."""
        while self._actions:
            actions, self._actions = self._actions, []
            yield from actions

    # -- clients -----------------------------------------------------------------------------

    def call(self, call: Call, now: float) -> None:
        """A call came in."""
        if call.key in self.calls:
            return
        self.tally.calls += 1
        refusal = self._refusal(call)
        if refusal is not None:
            self.tally.refusals[refusal.reason] += 1
            self._fail(call, refusal)
            return
        self.calls[call.key] = call
        heapq.heappush(self._timers, (call.deadline, call.key))
        worker = None if self._waiting.has(call.method) else self._choose(call, now)
        if worker is not None:
            self._give(call, worker, now)
        else:
            self._waiting.add(call)

    def _refusal(self, call: Call) -> RagqError | None:
        if self.is_draining:
            return Draining("the proxy is shutting down", help="another proxy, or the next start, takes the call")
        if self.workers and not any(call.method in w.methods for w in self.workers.values()):
            return UnknownMethod(
                f"no worker serves method {call.method:#010x}", help="client and service may be of different versions"
            )
        full = len(self._waiting) >= self.limits.max_waiting
        if full or self._waiting.num_bytes + call.size > self.limits.max_waiting_bytes:
            return Busy(f"{len(self._waiting)} calls wait already", help="try again a little later", retry_after_s=0.5)
        return None

    def cancel(self, key: Key) -> None:
        """The client gave up."""
        call = self.calls.get(key)
        if call is None or call.is_answered:
            return
        self._finish_early(call, Cancelled("the call was cancelled"))

    def client_gone(self, client: bytes) -> None:
        """The client is not there any more; nobody needs its calls."""
        for key in [key for key in self.calls if key[0] == client]:
            self.cancel(key)

    def _finish_early(self, call: Call, error: RagqError) -> None:
        self._fail(call, error)
        if call.worker is None:
            self._forget(call)
        else:
            call.is_answered = True
            self._actions.append(CancelAt(call.worker.id, call.key))

    # -- workers -----------------------------------------------------------------------------

    def ready(self, worker_id: bytes, ready: Ready, methods: frozenset[int], now: float) -> None:
        """A worker offers itself, for the first time or again; an older row of the same worker is retired."""
        for name in ready.methods:
            self.tally.serves(method_key(name), name)
        known = self.workers.get(worker_id)
        if known is not None and known.ready.uuid == ready.uuid:
            known.ready, known.methods, known.beat_at = ready, methods, now
        else:
            for old in [w.id for w in self.workers.values() if w.ready.uuid == ready.uuid]:
                self.gone(old, now, died=False)
            self.workers[worker_id] = Worker(worker_id, ready, methods, beat_at=now, since=now)
            self._came_back(ready.uuid)
        self._assign(now)

    def _came_back(self, uuid: str) -> None:
        """A worker that presents itself again did not die with its calls: only its connection was lost."""
        for call in self._waiting:
            call.losses.discard(uuid)

    def beat(self, worker_id: bytes, beat: Beat, held: frozenset[Key], now: float) -> None:
        """A worker is alive and tells which calls it holds; a call that it misses twice got lost on the way."""
        worker = self.workers.get(worker_id)
        if worker is None:
            self._actions.append(Reset(worker_id))
            return
        was_suspect = worker.is_suspect(now)
        worker.beat, worker.beat_at = beat, now
        had_refused, worker.has_refused = worker.has_refused, False
        for call in [c for c in worker.running.values() if c.dispatched < now - LOST_AFTER_S]:
            call.misses = 0 if call.key in held else call.misses + 1
            if call.misses >= 2:
                self._lose(call, worker, now, died=False)
        if was_suspect or had_refused:
            self._assign(now)

    def drain_worker(self, worker_id: bytes) -> bool:
        """A worker wants no new calls; whether it is known."""
        worker = self.workers.get(worker_id)
        if worker is not None:
            worker.is_draining = True
        return worker is not None

    def gone(self, worker_id: bytes, now: float, *, died: bool = True) -> None:
        """A worker, or only its connection, is not there any more; its calls go to another one or fail."""
        worker = self.workers.pop(worker_id, None)
        if worker is None:
            return
        if not self.workers:
            self._lonely_since = now
        for call in list(worker.running.values()):
            self._lose(call, worker, now, died=died)
        self._assign(now)

    def undelivered(self, call: Call, worker_id: bytes, now: float) -> None:
        """The worker was gone before the call reached it; another one may take it, whatever its kind."""
        worker = call.worker
        if worker is not None and worker.id == worker_id:
            del worker.running[call.key]
            call.worker = None
            self._waiting.add(call, first=True)
        self.gone(worker_id, now)

    def _lose(self, call: Call, worker: Worker, now: float, *, died: bool) -> None:
        del worker.running[call.key]
        call.worker = None
        if died:
            call.losses.add(worker.ready.uuid)
        if call.is_answered:
            self._forget(call)
        elif len(call.losses) >= MAX_ATTEMPTS and call.may_rerun:
            poison = "two workers died with this call; it is not given to a third"
            self._end(call, Internal(poison, help="the worker's log tells why it died"))
        elif call.may_rerun and now < call.deadline:
            self.tally.requeued += 1
            self._waiting.add(call, first=True)
            self._assign(now)
        else:
            self._end(
                call, WorkerLost(f"the worker {worker.ready.host}:{worker.ready.pid} died while it held the call")
            )

    def chunk(self, worker_id: bytes, key: Key) -> bool:
        """A worker sent a piece of a stream; whether the client wants it."""
        call = self._held(worker_id, key)
        if call is None:
            return False
        call.has_chunks = True
        self.tally.chunks += 1
        return not call.is_answered

    def nack(self, worker_id: bytes, key: Key, now: float) -> None:
        """A worker has not begun a call, because it has as many as it can take; another one may."""
        call = self._held(worker_id, key)
        if call is None or call.worker is None:
            return
        self.tally.nacks += 1
        call.worker.has_refused = True
        del call.worker.running[key]
        call.worker = None
        if call.is_answered:
            self._forget(call)
        else:
            self._waiting.add(call, first=True)
            self._assign(now)

    def credited(self, worker_id: bytes, key: Key) -> bool:
        """A worker asks a client for chunks; whether the client is there. From now on the call stays where it is."""
        call = self._held(worker_id, key)
        if call is None or not call.flags & Flag.STREAMS_INPUT:
            return False
        call.has_chunks = True
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
        call = self._held(worker_id, key)
        if call is None or call.worker is None:
            self.tally.late_replies += 1
            return None
        worker = call.worker
        del worker.running[key]
        worker.took(now - call.dispatched, now)
        worker.has_refused = False
        self._forget(call)
        self._assign(now)
        if call.is_answered:
            self.tally.late_replies += 1
            return None
        if failed:
            self.tally.failed_with(call.method, code, reason)
        else:
            self.tally.answered(call.method, call.dispatched - call.arrived, now - call.dispatched)
        return call

    def _held(self, worker_id: bytes, key: Key) -> Call | None:
        call = self.calls.get(key)
        held = call is not None and call.worker is not None and call.worker.id == worker_id
        return call if held else None

    # -- time --------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Time has passed."""
        while self._timers and self._timers[0][0] <= now:
            call = self.calls.get(heapq.heappop(self._timers)[1])
            if call is not None and not call.is_answered and call.deadline <= now:
                if call.worker is None:
                    self.tally.expired_waiting += 1
                else:
                    self.tally.expired_running += 1
                where = "waited in the queue" if call.worker is None else "was worked on"
                self._finish_early(call, DeadlineExceeded(f"the time of the call ran out while it {where}"))
        if self._waiting and not self.workers and now - self._lonely_since > GRACE_S:
            self._give_up_waiting()

    def _give_up_waiting(self) -> None:
        nobody = Unreachable("the service has no worker", help="'ragq status' tells why; its log has the details")
        for call in self._waiting:
            self._end(call, nobody)

    def next_timer(self, now: float) -> float:
        """Seconds until ``tick`` has something to do, at most one."""
        return min(1.0, max(0.0, self._timers[0][0] - now)) if self._timers else 1.0

    def drain(self) -> None:
        """Take no new calls."""
        self.is_draining = True

    def abandon(self) -> None:
        """Fail everything that is left."""
        for call in list(self.calls.values()):
            if not call.is_answered:
                self._finish_early(call, Unreachable("the proxy shut down before the call ended"))

    # -- inside ------------------------------------------------------------------------------

    def _choose(self, call: Call, now: float) -> Worker | None:
        able = [w for w in self.workers.values() if w.can_take(call.method, now) and w.ready.uuid not in call.losses]
        return min(able, key=lambda w: w.cost(now), default=None)

    def _assign(self, now: float) -> None:
        while (pair := self._next_pair(now)) is not None:
            call, worker = pair
            self._waiting.remove(call)
            self._give(call, worker, now)

    def _next_pair(self, now: float) -> tuple[Call, Worker] | None:
        """The call that waits longest of those that a worker can take now; no method starves another."""
        pairs = ((call, self._choose(call, now)) for call in self._waiting.heads())
        return next(((call, worker) for call, worker in pairs if worker is not None), None)

    def _give(self, call: Call, worker: Worker, now: float) -> None:
        call.worker, call.dispatched, call.misses = worker, now, 0
        worker.running[call.key] = call
        worker.used = now
        self._actions.append(Dispatch(call, worker.id, int((now - call.arrived) * 1000)))

    def _end(self, call: Call, error: RagqError) -> None:
        self._fail(call, error)
        self._forget(call)

    def _fail(self, call: Call, error: RagqError) -> None:
        self.tally.failed_with(call.method, error.code, error.reason)
        self._actions.append(Fail(call, error))

    def _forget(self, call: Call) -> None:
        if self.calls.pop(call.key, None) is not None and call.worker is None and call in self._waiting:
            self._waiting.remove(call)
