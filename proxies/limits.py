"""How much a proxy takes in before it refuses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one proxy.

    Attributes:
        max_waiting: calls that wait for a slot.
        max_waiting_bytes: their size together.
        max_client_calls: calls of one client under way, waiting and running.
        max_client_bytes: their size together.
    """

    max_waiting: int = 1000
    max_waiting_bytes: int = 64 << 20
    max_client_calls: int = 256
    max_client_bytes: int = 64 << 20


USUAL = Limits()
