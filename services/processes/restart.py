"""When is a process that died started again, and when is it given up?

No process here: the clock and the dice are handed in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 30.0
HEALTHY_S = 60.0
MAX_CRASHES = 5
CRASH_WINDOW_S = 120.0
JITTER = 0.2
FINAL_CODES = {2: "its settings are wrong", 4: "its model is missing", 5: "the data directory is locked"}


@dataclass(frozen=True, slots=True)
class Restart:
    """Start it again at this moment of the clock."""

    at: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Leave it down, and say why."""

    why: str


@dataclass(slots=True)
class RestartPolicy:
    """The fate of one process, crash by crash.

    The pause doubles from 0.5 s to 30 s, is stretched by up to a fifth so that processes that died
    together do not come back together, and begins anew after 60 s of health. More than five
    crashes in two minutes, or an exit code that another start cannot mend, is the end.

    Args:
        dice: gives numbers from 0 to 1.
    """

    dice: Callable[[], float]
    _pause_s: float = FIRST_PAUSE_S
    _started_at: float = 0.0
    _crashes: deque[float] = field(default_factory=deque)

    def started(self, now: float) -> None:
        """The process runs."""
        self._started_at = now

    def died(self, now: float, exit_code: int) -> Restart | GiveUp:
        """The process ended although nobody asked it to."""
        if now - self._started_at >= HEALTHY_S:
            self._pause_s = FIRST_PAUSE_S
        self._crashes.append(now)
        while now - self._crashes[0] > CRASH_WINDOW_S:
            self._crashes.popleft()
        if exit_code in FINAL_CODES:
            return GiveUp(FINAL_CODES[exit_code])
        if len(self._crashes) > MAX_CRASHES:
            return GiveUp(f"it crashed {len(self._crashes)} times in {CRASH_WINDOW_S:.0f} s")
        return Restart(now + self._next_pause())

    def _next_pause(self) -> float:
        pause_s = min(self._pause_s, MAX_PAUSE_S)
        self._pause_s = min(self._pause_s * 2, MAX_PAUSE_S)
        return pause_s * (1 + JITTER * self.dice())
