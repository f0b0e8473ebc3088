"""What becomes of a call whose worker is not there any more."""

from __future__ import annotations

from enum import StrEnum

from clients.errors import PoisonCall, RagqError, WorkerLost
from proxies.parties import Call, Worker

MAX_DEATHS = 2


class Cause(StrEnum):
    """Why a worker does not answer any more."""

    DIED = "died"
    STALLED = "stalled"
    LEFT = "left"
    RECONNECTED = "reconnected"
    MISSED = "missed"

    @property
    def is_death(self) -> bool:
        """Whether the call may have been the reason."""
        return self in (Cause.DIED, Cause.STALLED)


TOLD = {
    Cause.STALLED: "has not been heard of for {silence:.0f} s",
    Cause.MISSED: "does not know the call any more",
}


def verdict(call: Call, worker: Worker, cause: Cause, now: float) -> RagqError | None:
    """The error that a lost call ends with; None if another worker takes it over."""
    if len(call.losses) >= MAX_DEATHS:
        return PoisonCall(
            "two workers died with this call; it is not given to a third", help="the worker's log tells why it died"
        )
    if call.may_rerun and now < call.deadline:
        return None
    what = TOLD.get(cause, "died while it held the call").format(silence=now - worker.beat_at)
    return WorkerLost(f"the worker {worker.ready.host}:{worker.ready.pid} {what}")
