"""Whether a call that failed is sent again, and after how long; the clock and the dice are handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .errors import RagqError

MAX_ATTEMPTS = 3
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0
BURST = 10.0
SHARE = 0.1

Dice = Callable[[], float]


@dataclass(slots=True)
class Retries:
    """What retries a client may still make.

    Retries that answer overload with more load make it worse, so they live on a budget: one for
    ten calls, and ten in a row.

    Attributes:
        dice: a number from 0 to 1, which spreads the retries of many clients.
        tokens: retries that may be made now.
    """

    dice: Dice
    tokens: float = BURST

    def called(self) -> None:
        """A new call was made."""
        if self.tokens < BURST:
            self.tokens = min(BURST, self.tokens + SHARE)

    def pause(self, error: RagqError, attempt: int, left_s: float, *, is_idempotent: bool) -> float | None:
        """Seconds until a call that ended with ``error`` is sent again; None when it is not."""
        may_again = error.never_ran or (error.retryable and is_idempotent)
        if not may_again or attempt + 1 >= MAX_ATTEMPTS or self.tokens < 1:
            return None
        longest_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * (1 << attempt))
        pause_s = max(error.retry_after_s, longest_s * self.dice())
        if pause_s >= left_s:
            return None
        self.tokens -= 1
        return pause_s
