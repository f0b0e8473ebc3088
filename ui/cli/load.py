"""How busy was the mesh between two looks at it?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clients.overview import MeshStatus, ProxyReport
from clients.status import Latency, ServiceStats, WorkerStatus


@dataclass(frozen=True, slots=True)
class Look:
    """What the mesh said at a moment of the clock."""

    at: float
    status: MeshStatus


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a proxy, or a service, was between two looks.

    Attributes:
        queued: calls that wait: interactive, then bulk where the proxy tells them apart.
        slots: calls that its workers take at a time.
        p50_s, p95_s: seconds from arrival to answer; of the time between the looks where calls ended in it,
            else since the proxy's start.
    """

    service: str
    state: str
    queued: list[int]
    running: int
    slots: int
    num_workers: int
    calls_per_s: float
    errors_per_s: float
    p50_s: float
    p95_s: float
    num_requeued: int
    up_s: float
    pid: int = 0
    number: int = 0
    address: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """A worker, with the service that it serves."""

    service: str
    worker: WorkerStatus


@dataclass(frozen=True, slots=True)
class Board:
    """All that ``ragq top`` shows."""

    services: list[Load]
    proxies: list[Load]
    workers: list[WorkerLoad]


def board(before: Look, now: Look) -> Board:
    """The mesh as it is now, with rates since ``before``."""
    past = {(report.service, report.number): report for report in before.status.proxies}
    elapsed_s = max(now.at - before.at, 1e-9)
    proxies = [_of_proxy(past.get((report.service, report.number)), report, elapsed_s) for report in now.status.proxies]
    return Board(
        services=[
            _of_service(
                [load for load in proxies if load.service == service.service], len(service.workers), service.note
            )
            for service in now.status.services
        ],
        proxies=proxies,
        workers=[WorkerLoad(s.service, worker) for s in now.status.services for worker in s.workers],
    )


def _of_proxy(past: ProxyReport | None, report: ProxyReport, elapsed_s: float) -> Load:
    status, earlier = report.status, past.status if past else report.status
    is_same_run = earlier.pid == status.pid
    calls = status.num_calls - earlier.num_calls if is_same_run else status.num_calls
    failed = status.num_failed - earlier.num_failed if is_same_run else status.num_failed
    p50_s, p95_s = _quantiles(past.stats if past and is_same_run else None, report.stats) or (0.0, status.p95_s)
    return Load(
        service=report.service, state=status.state,
        queued=report.stats.waiting if report.stats else [status.queued],
        running=status.running, slots=sum(worker.slots for worker in status.workers), num_workers=len(status.workers),
        calls_per_s=calls / elapsed_s, errors_per_s=failed / elapsed_s, p50_s=p50_s, p95_s=p95_s,
        num_requeued=status.num_requeued, up_s=status.up_s, pid=status.pid,
        number=report.number, address=report.address, note=status.note,
    )  # fmt: skip


def _of_service(loads: Sequence[Load], num_workers: int, note: str) -> Load:
    alive = [load for load in loads if load.state != "down"] or loads
    return Load(
        service=loads[0].service,
        state="ready" if any(load.state == "ready" for load in loads) else alive[0].state,
        queued=_sums(load.queued for load in alive),
        running=sum(load.running for load in alive), slots=sum(load.slots for load in alive), num_workers=num_workers,
        calls_per_s=sum(load.calls_per_s for load in alive), errors_per_s=sum(load.errors_per_s for load in alive),
        p50_s=max(load.p50_s for load in alive), p95_s=max(load.p95_s for load in alive),
        num_requeued=sum(load.num_requeued for load in alive), up_s=max(load.up_s for load in alive), note=note,
    )  # fmt: skip


def _sums(rows: Iterable[list[int]]) -> list[int]:
    total: list[int] = []
    for row in rows:
        total += [0] * (len(row) - len(total))
        total = [a + b for a, b in zip(total, [*row, *[0] * (len(total) - len(row))], strict=True)]
    return total


def _quantiles(past: ServiceStats | None, now: ServiceStats | None) -> tuple[float, float] | None:
    """p50 and p95 of the calls since ``past``, or of all when none ended since; None where nothing is known."""
    if now is None:
        return None
    counts = _counts(now)
    fresh = [a - b for a, b in zip(counts, _counts(past), strict=True)] if past else counts
    used = fresh if any(fresh) else counts
    return quantile(0.5, now.bounds_s, used), quantile(0.95, now.bounds_s, used)


def _counts(stats: ServiceStats) -> list[int]:
    """The calls of all methods by bucket of their whole duration."""
    total = Latency([0] * (len(stats.bounds_s) + 1)).counts
    for method in stats.methods:
        total = [a + b for a, b in zip(total, method.total.counts, strict=True)]
    return total


def quantile(share: float, bounds_s: Sequence[float], counts: Sequence[int]) -> float:
    """The duration below which a share of the calls stayed, taken as evenly spread in their bucket."""
    rank, below = share * sum(counts), 0.0
    lower_s = 0.0
    for upper_s, count in zip(bounds_s, counts, strict=False):
        if count and below + count >= rank:
            return lower_s + (upper_s - lower_s) * (rank - below) / count
        below, lower_s = below + count, upper_s
    return lower_s if sum(counts) else 0.0
