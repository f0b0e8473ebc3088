"""Which worker gets which call, and what becomes of it; no socket, the clock is handed in.

A call waits, runs and ends; it ends exactly once. Events go in as method calls, and what has to be
sent comes out as actions, in order.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from clients.errors import (
    Busy,
    Cancelled,
    DeadlineExceeded,
    Internal,
    RagqError,
    UnknownMethod,
    Unreachable,
    WorkerLost,
)
from clients.wire import Beat, Flag, Ready

Key = tuple[bytes, int]
MAX_WAITING = 1000
MAX_WAITING_BYTES = 64 << 20
MAX_ATTEMPTS = 2
GRACE_S = 15.0
SUSPECT_AFTER_S = 2.0
LOST_AFTER_S = 1.5
DECAY_S = 10.0


@dataclass(slots=True, eq=False)
class Call:
    """A call on its way.

    Attributes:
        key: the client's routing id and the call's own id.
        frames: the envelope and its buffers, forwarded as they came.
        losses: workers that died with it.
    """

    key: Key
    method: int
    flags: int
    frames: list[Any]
    arrived: float
    deadline: float
    size: int
    is_legacy: bool = False
    has_chunks: bool = False
    is_answered: bool = False
    losses: set[str] = field(default_factory=set)
    misses: int = 0
    dispatched: float = 0.0
    worker: Worker | None = None

    @property
    def may_rerun(self) -> bool:
        """Whether another worker may take it over."""
        return bool(self.flags & Flag.IDEMPOTENT) and not self.has_chunks


@dataclass(slots=True, eq=False)
class Worker:
    """A worker as it presented itself, and the calls that it holds."""

    id: bytes
    ready: Ready
    methods: frozenset[int]
    beat_at: float
    since: float
    running: dict[Key, Call] = field(default_factory=dict)
    ewma_s: float = 0.0
    ewma_at: float = 0.0
    used: float = 0.0
    is_draining: bool = False
    beat: Beat = field(default_factory=Beat)

    def is_suspect(self, now: float) -> bool:
        """Whether it has missed its beats; it gets no new calls, and nothing is killed."""
        return now - self.beat_at > SUSPECT_AFTER_S

    def can_take(self, method: int, now: float) -> bool:
        """Whether it may get a call of this method now."""
        free = len(self.running) < self.ready.slots
        return free and method in self.methods and not self.is_draining and not self.is_suspect(now)

    def cost(self, now: float) -> tuple[float, float]:
        """What to minimise: peak-EWMA of its latency times the calls it would hold; ties to the least recently used."""
        return self.latency(now) * (len(self.running) + 1), self.used

    def latency(self, now: float) -> float:
        """Its peak-EWMA latency in seconds, fading over ten seconds."""
        return max(1e-4, self.ewma_s * math.exp2((self.ewma_at - now) / DECAY_S))

    def took(self, seconds: float, now: float) -> None:
        """Note a latency: up at once, down slowly."""
        old = self.latency(now)
        self.ewma_s = seconds if seconds > old else old + 0.3 * (seconds - old)
        self.ewma_at = now


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Send this call to this worker."""

    call: Call
    worker: bytes
    waited_ms: int


@dataclass(frozen=True, slots=True)
class Fail:
    """Answer this call with an error."""

    call: Call
    error: RagqError


@dataclass(frozen=True, slots=True)
class CancelAt:
    """Tell this worker that nobody waits for the call."""

    worker: bytes
    key: Key


@dataclass(frozen=True, slots=True)
class Reset:
    """Ask an unknown worker to present itself."""

    worker: bytes


Action = Dispatch | Fail | CancelAt | Reset


@dataclass(slots=True)
class Counts:
    """What has happened since the start."""

    calls: int = 0
    failed: int = 0
    requeued: int = 0


class Dispatcher:
    """The calls and workers of one service."""

    def __init__(self, now: float) -> None:
        self.workers: dict[bytes, Worker] = {}
        self.calls: dict[Key, Call] = {}
        self.counts = Counts()
        self.latencies: deque[float] = deque(maxlen=1000)
        self.is_draining = False
        self._waiting: dict[int, deque[Call]] = {}
        self._num_waiting = 0
        self._waiting_bytes = 0
        self._timers: list[tuple[float, Key]] = []
        self._lonely_since = now
        self._actions: list[Action] = []

    @property
    def num_waiting(self) -> int:
        """Calls that wait for a slot."""
        return self._num_waiting

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
        self.counts.calls += 1
        refusal = self._refusal(call)
        if refusal is not None:
            self._fail(call, refusal)
            return
        self.calls[call.key] = call
        heapq.heappush(self._timers, (call.deadline, call.key))
        worker = None if self._waiting.get(call.method) else self._choose(call, now)
        if worker is not None:
            self._give(call, worker, now)
        else:
            self._queue(call)

    def _refusal(self, call: Call) -> RagqError | None:
        if self.is_draining:
            return Unreachable(
                "the proxy is shutting down", help="try again; another proxy or a new start will take it"
            )
        if self.workers and not any(call.method in w.methods for w in self.workers.values()):
            return UnknownMethod(
                f"no worker serves method {call.method:#010x}", help="client and service may be of different versions"
            )
        if self._num_waiting >= MAX_WAITING or self._waiting_bytes + call.size > MAX_WAITING_BYTES:
            return Busy(f"{self._num_waiting} calls wait already", help="try again a little later", retry_after_s=0.5)
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
        for waiting in self._waiting.values():
            for call in waiting:
                call.losses.discard(uuid)

    def beat(self, worker_id: bytes, beat: Beat, held: frozenset[Key], now: float) -> None:
        """A worker is alive and tells which calls it holds; a call that it misses twice got lost on the way."""
        worker = self.workers.get(worker_id)
        if worker is None:
            self._actions.append(Reset(worker_id))
            return
        was_suspect = worker.is_suspect(now)
        worker.beat, worker.beat_at = beat, now
        for call in [c for c in worker.running.values() if c.dispatched < now - LOST_AFTER_S]:
            call.misses = 0 if call.key in held else call.misses + 1
            if call.misses >= 2:
                self._lose(call, worker, now, died=False)
        if was_suspect:
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
            self._queue(call, first=True)
        self.gone(worker_id, now)

    def _lose(self, call: Call, worker: Worker, now: float, *, died: bool) -> None:
        del worker.running[call.key]
        call.worker = None
        if died:
            call.losses.add(worker.ready.uuid)
        if call.is_answered:
            self._forget(call)
        elif len(call.losses) >= MAX_ATTEMPTS and call.may_rerun:
            self._end(
                call,
                Internal(
                    "two workers died with this call; it is not given to a third",
                    help="the worker's log tells why it died",
                ),
            )
        elif call.may_rerun and now < call.deadline:
            self.counts.requeued += 1
            self._queue(call, first=True)
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
        return not call.is_answered

    def replied(self, worker_id: bytes, key: Key, now: float, *, failed: bool) -> Call | None:
        """A worker ended a call; the call if its client waits for the answer, else None."""
        call = self._held(worker_id, key)
        if call is None or call.worker is None:
            return None
        worker = call.worker
        del worker.running[key]
        worker.took(now - call.dispatched, now)
        self._forget(call)
        self.latencies.append(now - call.arrived)
        self.counts.failed += failed
        self._assign(now)
        return None if call.is_answered else call

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
                where = "waited in the queue" if call.worker is None else "was worked on"
                self._finish_early(call, DeadlineExceeded(f"the time of the call ran out while it {where}"))
        if self._num_waiting and not self.workers and now - self._lonely_since > GRACE_S:
            self._give_up_waiting()

    def _give_up_waiting(self) -> None:
        for waiting in list(self._waiting.values()):
            for call in list(waiting):
                self._end(
                    call,
                    Unreachable("the service has no worker", help="'ragq status' tells why; its log has the details"),
                )

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
            self._unqueue(call)
            self._give(call, worker, now)

    def _next_pair(self, now: float) -> tuple[Call, Worker] | None:
        """The call that waits longest of those that a worker can take now; no method starves another."""
        heads = sorted((waiting[0] for waiting in self._waiting.values()), key=lambda call: call.arrived)
        pairs = ((call, self._choose(call, now)) for call in heads)
        return next(((call, worker) for call, worker in pairs if worker is not None), None)

    def _give(self, call: Call, worker: Worker, now: float) -> None:
        call.worker, call.dispatched, call.misses = worker, now, 0
        worker.running[call.key] = call
        worker.used = now
        self._actions.append(Dispatch(call, worker.id, int((now - call.arrived) * 1000)))

    def _queue(self, call: Call, *, first: bool = False) -> None:
        waiting = self._waiting.setdefault(call.method, deque())
        waiting.appendleft(call) if first else waiting.append(call)
        self._num_waiting += 1
        self._waiting_bytes += call.size

    def _unqueue(self, call: Call) -> None:
        waiting = self._waiting[call.method]
        waiting.remove(call)
        if not waiting:
            del self._waiting[call.method]
        self._num_waiting -= 1
        self._waiting_bytes -= call.size

    def _end(self, call: Call, error: RagqError) -> None:
        self._fail(call, error)
        self._forget(call)

    def _fail(self, call: Call, error: RagqError) -> None:
        self.counts.failed += 1
        self._actions.append(Fail(call, error))

    def _forget(self, call: Call) -> None:
        if (
            self.calls.pop(call.key, None) is not None
            and call.worker is None
            and call in self._waiting.get(call.method, ())
        ):
            self._unqueue(call)
