"""What a proxy says of its service."""

from __future__ import annotations

import os
import statistics
import time
from collections import Counter
from collections.abc import Sequence

from clients.memory import resident_bytes
from clients.status import ServiceStats, ServiceStatus, WorkerStatus
from clients.system import Description
from clients.wire import VERSION
from proxies.dispatch import Dispatcher
from proxies.parties import Worker
from proxies.tally import BOUNDS_S


def report(service: str, dispatcher: Dispatcher, started: float, now: float) -> ServiceStatus:
    """The state of a service: its workers, its queue, and what it has done since the start."""
    d, t = dispatcher, dispatcher.tally
    return ServiceStatus(
        service=service, state="draining" if d.is_draining else "ready" if d.workers else "starting",
        workers=[_worker(w, now) for w in d.workers.values()],
        queued=d.num_waiting, running=len(d.calls) - d.num_waiting, pid=os.getpid(), up_s=now - started,
        note="" if d.workers else "no worker is there" if t.calls else "no worker has come yet",
        num_calls=t.calls, num_failed=t.failed, num_requeued=t.requeued, p95_s=_p95(t.latencies),
    )  # fmt: skip


def stats(service: str, dispatcher: Dispatcher, started: float, now: float, num_refused: int = 0) -> ServiceStats:
    """What a service has counted since the start of its proxy, and what it holds now."""
    d, t = dispatcher, dispatcher.tally
    return ServiceStats(
        service=service, up_s=now - started, bounds_s=list(BOUNDS_S), methods=t.shown(), calls=t.calls, failed=t.failed,
        waiting=list(d.waiting.nums), waiting_bytes=d.waiting.num_bytes, running=len(d.calls) - d.num_waiting,
        slots=sum(w.ready.slots for w in d.workers.values()), clients=len(d.clients),
        workers=dict(Counter(w.state(now) for w in d.workers.values())),
        requeued=t.requeued, nacks=t.nacks, refusals=dict(t.refusals), losses=dict(t.losses),
        expired_waiting=t.expired_waiting, expired_running=t.expired_running, chunks=t.chunks,
        late_replies=t.late_replies, slow_streams=t.slow_streams, protocol_errors=t.protocol_errors,
        refused_connections=num_refused, cpu_s=time.process_time(), rss_bytes=resident_bytes(),
    )  # fmt: skip


def describe(service: str, dispatcher: Dispatcher) -> Description:
    """What can be called through a proxy, and how much of it at a time."""
    methods = {name for worker in dispatcher.workers.values() for name in worker.ready.methods}
    limits = dispatcher.limits
    return Description(
        service, VERSION, sorted(methods), limits.max_client_calls, limits.max_client_bytes, limits.max_waiting
    )


def _worker(w: Worker, now: float) -> WorkerStatus:
    return WorkerStatus(
        id=w.ready.uuid, pid=w.ready.pid, host=w.ready.host, slots=w.ready.slots, running=len(w.running),
        state=w.state(now), up_s=now - w.since, rss_bytes=w.beat.rss_bytes, note=w.beat.note,
    )  # fmt: skip


def _p95(latencies: Sequence[float]) -> float:
    return statistics.quantiles(latencies, n=20)[18] if len(latencies) > 1 else 0.0
