"""What the mesh promises about its speed, and whether a figure keeps the promise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A promise: the gate that holds, and the stretch that is aimed at.

    Attributes:
        more_is_better: a figure below the gate fails, instead of one above.
        by: what decides, ``time`` or ``processor``; the other figure is told beside it.
    """

    name: str
    what: str
    gate: float
    stretch: float
    unit: str = "x"
    more_is_better: bool = False
    by: str = "time"

    def verdict(self, figure: float) -> str:
        """``FAIL``, ``PASS``, or that the stretch is reached too."""
        sign = -1 if self.more_is_better else 1
        if sign * figure > sign * self.gate:
            return "FAIL"
        return "PASS" if sign * figure > sign * self.stretch else "PASS, stretch too"

    def told(self, figure: float) -> str:
        """A figure with its unit."""
        return f"{figure:.3g}{'' if self.unit == 'x' else ' '}{self.unit}"

    @property
    def bounds(self) -> tuple[str, str]:
        """Gate and stretch as the table shows them."""
        sign = "≥" if self.more_is_better else "≤"
        return f"{sign} {self.told(self.gate)}", f"{sign} {self.told(self.stretch)}"


TARGETS = (
    Target("T1", "proxy's CPU ÷ C's, 100 B, 64 in flight", 3.0, 2.0, by="processor"),
    Target("T2a", "proxy's CPU ÷ C's, 10 KB, 64 in flight", 2.0, 1.5, by="processor"),
    Target("T2b", "proxy's CPU ÷ C's, 128 KB, 64 in flight", 1.3, 1.1, by="processor"),
    Target("T2c", "proxy's CPU ÷ C's, 1 MiB, 8 in flight", 1.3, 1.1, by="processor"),
    Target("T3", "round trip ÷ C's, 100 B, 1 in flight", 2.0, 1.5),
    Target("T4", "throughput ÷ C's, 100 B, 64 in flight", 0.5, 0.75, more_is_better=True),
    Target("T5", "grpc ÷ ragq, 100 B, 1 in flight", 1.3, 2.0, more_is_better=True),
    Target("T6", "faster grpc ÷ ragq, embeddings 32x1024", 1.1, 1.4, more_is_better=True),
    Target("T7", "faster grpc ÷ ragq, stream of 200 tokens", 3.0, 6.0, more_is_better=True),
    Target("T8a", "zerorpc ÷ ragq, 100 B, 1 in flight", 2.0, 3.5, more_is_better=True),
    Target("T8b", "zerorpc ÷ ragq, stream of 200 tokens", 3.0, 6.0, more_is_better=True),
    Target("T9", "grpc aio ÷ ragq, 100 B, 64 in flight, asyncio", 2.0, 5.0, more_is_better=True),
    Target("T10", "p99 ÷ round robin's, one worker of four slow, 200/s", 0.1, 0.02),
    Target("T14", "proxy's memory for one of 10 000 queued calls of 1 KB", 3.0, 1.5, "KiB"),
    Target("T16a", "proxy's peak memory while 256 MiB pass", 96, 48, "MiB"),
    Target("T16b", "slowest call of another client meanwhile", 1.0, 0.25, "s"),
    Target("T17", "idle proxy with 16 workers", 1.0, 0.3, "% of a core", by="processor"),
    Target("T19", "import, connect and first call", 300, 150, "ms"),
    Target("T20", "new worker, from loaded to its first answer", 1.0, 0.3, "s"),
)


@dataclass(frozen=True, slots=True)
class Result:
    """What was found for a target; ``processor`` is the same ratio by processor time, where there is one."""

    name: str
    time: float | None = None
    processor: float | None = None
