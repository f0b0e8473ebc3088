"""What a service says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker as its proxy sees it.

    Attributes:
        state: ``suspect`` workers have missed beats and get no new calls; a ``stuck`` one should be started again.
        rss_bytes: resident memory of its process.
    """

    id: str
    pid: int
    host: str
    state: Literal["ready", "suspect", "draining", "stuck"]
    slots: int
    running: int
    up_s: float = 0.0
    rss_bytes: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """A service as its proxy sees it.

    Attributes:
        state: ``starting`` means that no worker has come yet; ``down`` that no proxy answers.
        queued: calls that wait for a slot.
        num_requeued: calls given to a second worker because the first one died.
        p95_s: seconds from arrival to answer, over the last calls.
    """

    service: str
    state: Literal["ready", "starting", "draining", "down"]
    workers: list[WorkerStatus] = field(default_factory=list)
    queued: int = 0
    running: int = 0
    pid: int = 0
    up_s: float = 0.0
    note: str = ""
    num_calls: int = 0
    num_failed: int = 0
    num_requeued: int = 0
    p95_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Latency:
    """How many durations fell below each bound of ``ServiceStats.bounds_s``, and, as the last one, above all."""

    counts: list[int]
    sum_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How often calls ended so; code 0 without a reason is success."""

    code: int
    reason: str
    num: int


@dataclass(frozen=True, slots=True)
class MethodStats:
    """How the calls of a method ended, and what took how long.

    Attributes:
        queue: seconds until a worker got them.
        worker: seconds from there to the answer.
        total: both together.
    """

    method: str
    outcomes: list[Outcome]
    queue: Latency
    worker: Latency
    total: Latency


@dataclass(frozen=True, slots=True)
class ServiceStats:
    """What a proxy has counted since its start, and what it holds now.

    Attributes:
        bounds_s: upper bounds of the latencies' buckets.
        waiting: calls that wait for a slot, of the interactive and of the bulk lane.
        clients: clients with calls under way.
        workers: number of workers by state.
        refusals: calls that were not taken in, by reason.
        losses: workers that are not there any more, by cause.
        late_replies: ends of calls that nobody waited for.
        slow_streams: calls that were cancelled because their client did not read.
        refused_connections: connections of keys that may not come.
        cpu_s: processor seconds of its process.
        rss_bytes: resident memory of its process.
    """

    service: str
    up_s: float
    bounds_s: list[float]
    methods: list[MethodStats] = field(default_factory=list)
    calls: int = 0
    failed: int = 0
    waiting: list[int] = field(default_factory=list)
    waiting_bytes: int = 0
    running: int = 0
    slots: int = 0
    clients: int = 0
    workers: dict[str, int] = field(default_factory=dict)
    requeued: int = 0
    nacks: int = 0
    refusals: dict[str, int] = field(default_factory=dict)
    losses: dict[str, int] = field(default_factory=dict)
    expired_waiting: int = 0
    expired_running: int = 0
    chunks: int = 0
    late_replies: int = 0
    slow_streams: int = 0
    protocol_errors: int = 0
    refused_connections: int = 0
    cpu_s: float = 0.0
    rss_bytes: int = 0
