"""What a proxy counts: how its calls ended, how long they took, and what went wrong on the way."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque

from clients.status import Latency, MethodStats, Outcome

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
MAX_REASONS = 64
OTHER = (2, "OTHER")
UNKNOWN_METHOD = 0


class MethodTally:
    """How the calls of one method ended, and how long they waited, ran, and took altogether.

    Attributes:
        errors: ends by gRPC number and reason; every other call was answered and has its place in the histograms.
        queue: how many waits fell below each bound, and above the last; ``worker`` and ``total`` likewise.
    """

    __slots__ = ("errors", "queue", "queue_s", "total", "worker", "worker_s")

    def __init__(self) -> None:
        self.errors: Counter[tuple[int, str]] = Counter()
        self.queue = [0] * (len(BOUNDS_S) + 1)
        self.worker = [0] * (len(BOUNDS_S) + 1)
        self.total = [0] * (len(BOUNDS_S) + 1)
        self.queue_s = 0.0
        self.worker_s = 0.0

    def shown(self, name: str) -> MethodStats:
        """As the status says it."""
        outcomes = [Outcome(0, "", sum(self.total))] if any(self.total) else []
        outcomes += [Outcome(code, reason, num) for (code, reason), num in sorted(self.errors.items())]
        return MethodStats(
            name, outcomes, Latency(list(self.queue), self.queue_s), Latency(list(self.worker), self.worker_s),
            Latency(list(self.total), self.queue_s + self.worker_s),
        )  # fmt: skip


class Tally:
    """The counters of one proxy since its start.

    Attributes:
        methods: by the number of each method that a worker has served; all others share one row.
        refusals: calls that were not taken in, by reason.
        losses: workers that are not there any more, by cause.
        left: those of them that went as planned, the last ones.
        late_replies: ends of calls that nobody waited for.
        slow_streams: calls that were cancelled because their client did not read.
        protocol_errors: messages that the proxy could not read or did not expect.
        latencies: seconds from arrival to answer, of the last calls.
    """

    def __init__(self) -> None:
        self.methods: dict[int, MethodTally] = {UNKNOWN_METHOD: MethodTally()}
        self.names: dict[int, str] = {UNKNOWN_METHOD: "unknown"}
        self.refusals: Counter[str] = Counter()
        self.losses: Counter[str] = Counter()
        self.left: deque[str] = deque(maxlen=1000)
        self.latencies: deque[float] = deque(maxlen=1000)
        self.calls = self.failed = self.requeued = self.nacks = 0
        self.expired_waiting = self.expired_running = 0
        self.chunks = self.late_replies = self.slow_streams = self.protocol_errors = 0

    def serves(self, method: int, name: str) -> None:
        """A worker serves this method; it gets a row of its own."""
        if method not in self.methods:
            self.methods[method] = MethodTally()
        self.names[method] = name

    def answered(self, method: int, waited_s: float, ran_s: float) -> None:
        """A worker's answer went to the client."""
        row = self.methods.get(method) or self.methods[UNKNOWN_METHOD]
        total_s = waited_s + ran_s
        row.queue[bisect_left(BOUNDS_S, waited_s)] += 1
        row.worker[bisect_left(BOUNDS_S, ran_s)] += 1
        row.total[bisect_left(BOUNDS_S, total_s)] += 1
        row.queue_s += waited_s
        row.worker_s += ran_s
        self.latencies.append(total_s)

    def failed_with(self, method: int, code: int, reason: str) -> None:
        """A call ended with an error."""
        self.failed += 1
        row = self.methods.get(method) or self.methods[UNKNOWN_METHOD]
        key = (code, reason)
        row.errors[key if key in row.errors or len(row.errors) < MAX_REASONS else OTHER] += 1

    def shown(self) -> list[MethodStats]:
        """The methods that have been called, by name."""
        rows = [tally.shown(self.names[method]) for method, tally in self.methods.items()]
        return sorted((row for row in rows if row.outcomes), key=lambda row: row.method)
