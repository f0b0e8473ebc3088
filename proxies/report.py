"""What a proxy says of its service."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence

from clients.status import ServiceStatus, WorkerStatus
from proxies.dispatch import Dispatcher
from proxies.parties import Worker


def report(service: str, dispatcher: Dispatcher, started: float, now: float) -> ServiceStatus:
    """The state of a service: its workers, its queue, and what it has done since the start."""
    d = dispatcher
    return ServiceStatus(
        service=service, state="draining" if d.is_draining else "ready" if d.workers else "starting",
        workers=[_worker(w, now) for w in d.workers.values()],
        queued=d.num_waiting, running=len(d.calls) - d.num_waiting, pid=os.getpid(), up_s=now - started,
        note="" if d.workers else "no worker is there" if d.counts.calls else "no worker has come yet",
        num_calls=d.counts.calls, num_failed=d.counts.failed, num_requeued=d.counts.requeued, p95_s=_p95(d.latencies),
    )  # fmt: skip


def _worker(w: Worker, now: float) -> WorkerStatus:
    return WorkerStatus(
        id=w.ready.uuid, pid=w.ready.pid, host=w.ready.host, slots=w.ready.slots, running=len(w.running),
        state="draining" if w.is_draining else "suspect" if w.is_suspect(now) else "ready",
        up_s=now - w.since, rss_bytes=w.beat.rss_bytes, note=w.beat.note,
    )  # fmt: skip


def _p95(latencies: Sequence[float]) -> float:
    return statistics.quantiles(latencies, n=20)[18] if len(latencies) > 1 else 0.0
