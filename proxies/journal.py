"""Which lines does a proxy write when something changes?

It is shown the proxy's own reports about once a second, so that a line costs a call nothing. What
happens often is counted, and told at most every ten seconds.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from clients.status import ServiceStats, ServiceStatus, WorkerStatus

INTERVAL_S = 1.0
QUIET_S = 10.0
SLOW_S = 30.0
SAID = {
    "ready": (logging.INFO, "takes calls again"),
    "suspect": (logging.WARNING, "has missed beats and gets no new calls"),
    "stuck": (logging.ERROR, "answers nobody; it should be started again"),
    "draining": (logging.INFO, "takes no new calls; it leaves"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line, and how serious it is."""

    level: int
    text: str


class Journal:
    """Compares what a proxy says now with what it said before."""

    def __init__(self) -> None:
        self._workers: dict[str, WorkerStatus] = {}
        self._state = ""
        self._told: Counter[str] = Counter()
        self._told_at: dict[str, float] = {}

    def lines(self, status: ServiceStatus, stats: ServiceStats, now: float, left: Collection[str] = ()) -> list[Line]:
        """What has changed since the last time.

        Args:
            status: what the proxy says of its service now.
            stats: what it has counted.
            now: the time.
            left: ids of workers that went as planned, be it between two looks.
        """
        return [*self._of_service(status), *self._of_workers(status, left), *self._of_counts(counted(stats), now)]

    def _of_service(self, status: ServiceStatus) -> Iterator[Line]:
        before, self._state = self._state, status.state
        if status.state == "draining" and before != "draining":
            yield Line(logging.INFO, f"drains; {status.running + status.queued} calls are under way")

    def _of_workers(self, status: ServiceStatus, left: Collection[str]) -> Iterator[Line]:
        before, self._workers = self._workers, {worker.id: worker for worker in status.workers}
        for worker in self._workers.values():
            known = before.get(worker.id)
            if known is None:
                yield Line(logging.INFO, f"{_name(worker)} came; it takes {worker.slots} calls at a time")
            elif known.state != worker.state:
                level, words = SAID[worker.state]
                yield Line(level, f"{_name(worker)} {words}")
        for worker in (known for id_, known in before.items() if id_ not in self._workers):
            if worker.id in left or _was_sent_away(worker, status):
                yield Line(logging.INFO, f"{_name(worker)} left")
            else:
                yield Line(logging.WARNING, f"{_name(worker)} is lost; it held {worker.running} calls")

    def _of_counts(self, counts: Counter[str], now: float) -> Iterator[Line]:
        for what, num in counts.items():
            fresh = num - self._told[what]
            if fresh and now - self._told_at.get(what, -QUIET_S) >= QUIET_S:
                self._told[what], self._told_at[what] = num, now
                yield Line(logging.WARNING, f"{what}: {fresh} {'call' if fresh == 1 else 'calls'}")


def counted(stats: ServiceStats) -> Counter[str]:
    """What is told as a number of calls, with the words for it."""
    counts: Counter[str] = Counter()
    counts["given to another worker"] = stats.requeued
    counts["not readable, or not due"] = stats.protocol_errors
    for reason, num in stats.refusals.items():
        counts[f"refused, {reason}"] = num
    for method in stats.methods:
        for outcome in method.outcomes:
            if outcome.code:
                counts[f"{method.method} failed, {outcome.reason}"] = outcome.num
        slow = sum(num for num, bound in zip(method.total.counts[1:], stats.bounds_s, strict=True) if bound >= SLOW_S)
        counts[f"{method.method} took longer than {SLOW_S:.0f} s"] = slow
    return counts


def _was_sent_away(worker: WorkerStatus, status: ServiceStatus) -> bool:
    return worker.state == "draining" or (status.state == "draining" and not worker.running)


def _name(worker: WorkerStatus) -> str:
    return f"worker {worker.id[:8]}, pid {worker.pid} at {worker.host},"
