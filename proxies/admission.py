"""Whether a call may come in, and if not, when to come back."""

from __future__ import annotations

from clients.errors import Busy, DeadlineExceeded, Draining, OverLimit, RagqError, UnknownMethod
from proxies.limits import Limits
from proxies.parties import Call, Client
from proxies.roster import Roster
from proxies.waiting import Waiting

UNKNOWN_WAIT_S = 0.5
SHORTEST_WAIT_S = 0.05
LONGEST_WAIT_S = 30.0
FREED_SHARE = 0.1


class Admission:
    """The door of one proxy."""

    def __init__(self, limits: Limits, waiting: Waiting, roster: Roster) -> None:
        self.limits = limits
        self.is_closed = False
        self._waiting = waiting
        self._roster = roster

    def refusal(self, call: Call, client: Client, now: float) -> RagqError | None:
        """Why a call cannot come in at all."""
        limits = self.limits
        if self.is_closed:
            return Draining("the proxy is shutting down", help="another proxy, or the next start, takes the call")
        if len(client.calls) >= limits.max_client_calls or client.num_bytes + call.size > limits.max_client_bytes:
            return self._over_limit(call, client)
        if call.deadline <= now:
            return DeadlineExceeded("the time of the call ran out before it reached a worker")
        return None

    def queue_refusal(self, call: Call, now: float) -> RagqError | None:
        """Why a call that no worker can take at once cannot wait."""
        roster = self._roster
        if roster.workers and not roster.serves(call.method) and not roster.awaits(call.method):
            return UnknownMethod(
                f"no worker serves method {call.method:#010x}", help="client and service may be of different versions"
            )
        waiting, limits = self._waiting, self.limits
        num = len(waiting)
        rate = self._roster.rate(call.method) if num else 0.0
        if num >= limits.max_waiting or waiting.num_bytes + call.size > limits.max_waiting_bytes:
            wait_s = FREED_SHARE * num / rate if rate else UNKNOWN_WAIT_S
            return _busy(f"{num} calls of {waiting.num_bytes >> 20} MiB wait already", wait_s)
        expected_s = waiting.num_before(call) / rate if rate else 0.0
        if expected_s > call.deadline - now:
            return _busy(f"the call would wait for about {expected_s:.1f} s, longer than its time allows", expected_s)
        return None

    def _over_limit(self, call: Call, client: Client) -> RagqError:
        rate = self._roster.rate(call.method)
        held = f"this client has {len(client.calls)} calls of {client.num_bytes >> 20} MiB under way"
        most = f"{self.limits.max_client_calls} calls and {self.limits.max_client_bytes >> 20} MiB"
        return OverLimit(
            held, help=f"a client may have {most}; wait for some of them",
            retry_after_s=_clamped(FREED_SHARE * len(client.calls) / rate if rate else UNKNOWN_WAIT_S),
        )  # fmt: skip


def _busy(message: str, wait_s: float) -> Busy:
    return Busy(message, help="try again a little later", retry_after_s=_clamped(wait_s))


def _clamped(seconds: float) -> float:
    return min(max(seconds, SHORTEST_WAIT_S), LONGEST_WAIT_S)
