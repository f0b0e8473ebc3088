"""What a dispatcher wants to be sent."""

from __future__ import annotations

from dataclasses import dataclass

from clients.errors import RagqError
from proxies.parties import Call, Key


@dataclass(slots=True)  # not frozen: made for every call, and a frozen one takes three times as long
class Dispatch:
    """Send this call to this worker."""

    call: Call
    worker: bytes
    waited_ms: int


@dataclass(frozen=True, slots=True)
class Fail:
    """Answer this call with an error."""

    call: Call
    error: RagqError


@dataclass(frozen=True, slots=True)
class CancelAt:
    """Tell this worker that nobody waits for the call."""

    worker: bytes
    key: Key


@dataclass(frozen=True, slots=True)
class Reset:
    """Ask an unknown worker to present itself."""

    worker: bytes


Action = Dispatch | Fail | CancelAt | Reset
