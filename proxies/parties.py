"""Who a dispatcher deals with: a call on its way, and a worker with the calls that it holds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from clients.wire import Beat, Flag, Ready

Key = tuple[bytes, int]
SUSPECT_AFTER_S = 2.0
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
    has_refused: bool = False
    beat: Beat = field(default_factory=Beat)

    def is_suspect(self, now: float) -> bool:
        """Whether it has missed its beats; it gets no new calls, and nothing is killed."""
        return now - self.beat_at > SUSPECT_AFTER_S

    def can_take(self, method: int, now: float) -> bool:
        """Whether it may get a call of this method now."""
        free = len(self.running) < self.ready.slots
        return free and method in self.methods and not (self.is_draining or self.has_refused or self.is_suspect(now))

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
