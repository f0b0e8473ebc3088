"""When a proxy looks which of its peers are still there."""

from __future__ import annotations

PAUSES_S = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.4)
SHORTEST_S = 0.02


class Watch:
    """The times of the looks at one side's peers.

    A monitor's event may come before its socket knows which peer was lost, so one event is followed by several looks,
    less and less often. Many events together cause no more of them than one.
    """

    def __init__(self) -> None:
        self._step = len(PAUSES_S)
        self._looked_at = float("-inf")
        self.due_at: float | None = None

    def alarm(self, now: float) -> None:
        """A peer was lost."""
        self._step = 0
        self.due_at = max(now, self._looked_at + SHORTEST_S)

    def is_due(self, now: float) -> bool:
        """Whether to look now; then the next look is planned."""
        if self.due_at is None or now < self.due_at:
            return False
        self._looked_at = now
        self._step += 1
        self.due_at = now + PAUSES_S[self._step] if self._step < len(PAUSES_S) else None
        return True
