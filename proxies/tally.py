"""What a proxy counts: how its calls ended, how long they took, and what went wrong on the way."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque

from clients.status import Latency, MethodStats, Outcome

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
OK = (0, "")
UNKNOWN_METHOD = 0


class Histogram:
    """How many durations fell below each of the fixed bounds, and above the last."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def note(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds

    def shown(self) -> Latency:
        """As the status says it."""
        return Latency(list(self.counts), self.sum_s)


class MethodTally:
    """How the calls of one method ended, and how long they waited, ran, and took altogether."""

    __slots__ = ("outcomes", "queue", "total", "worker")

    def __init__(self) -> None:
        self.outcomes: Counter[tuple[int, str]] = Counter()
        self.queue = Histogram()
        self.worker = Histogram()
        self.total = Histogram()

    def shown(self, name: str) -> MethodStats:
        """As the status says it."""
        outcomes = [Outcome(code, reason, num) for (code, reason), num in sorted(self.outcomes.items())]
        return MethodStats(name, outcomes, self.queue.shown(), self.worker.shown(), self.total.shown())


class Tally:
    """The counters of one proxy since its start.

    Attributes:
        methods: by the number of each method that a worker has served; all others share one row.
        refusals: calls that were not taken in, by reason.
        losses: workers that are not there any more, by cause.
        late_replies: ends of calls that nobody waited for.
        protocol_errors: messages that the proxy could not read or did not expect.
        latencies: seconds from arrival to answer, of the last calls.
    """

    def __init__(self) -> None:
        self.methods: dict[int, MethodTally] = {UNKNOWN_METHOD: MethodTally()}
        self.names: dict[int, str] = {UNKNOWN_METHOD: "unknown"}
        self.refusals: Counter[str] = Counter()
        self.losses: Counter[str] = Counter()
        self.latencies: deque[float] = deque(maxlen=1000)
        self.calls = self.failed = self.requeued = self.nacks = 0
        self.expired_waiting = self.expired_running = 0
        self.chunks = self.late_replies = self.protocol_errors = 0

    def serves(self, method: int, name: str) -> None:
        """A worker serves this method; it gets a row of its own."""
        if method not in self.methods:
            self.methods[method] = MethodTally()
        self.names[method] = name

    def row(self, method: int) -> MethodTally:
        """Where calls of this method are counted; what nobody ever served cannot fill the table."""
        return self.methods.get(method) or self.methods[UNKNOWN_METHOD]

    def answered(self, method: int, waited_s: float, ran_s: float) -> None:
        """A worker's answer went to the client."""
        row = self.row(method)
        row.outcomes[OK] += 1
        row.queue.note(waited_s)
        row.worker.note(ran_s)
        row.total.note(waited_s + ran_s)
        self.latencies.append(waited_s + ran_s)

    def failed_with(self, method: int, code: int, reason: str) -> None:
        """A call ended with an error."""
        self.failed += 1
        self.row(method).outcomes[code, reason] += 1

    def shown(self) -> list[MethodStats]:
        """The methods that have been called, by name."""
        rows = [tally.shown(self.names[method]) for method, tally in self.methods.items() if tally.outcomes]
        return sorted(rows, key=lambda row: row.method)
