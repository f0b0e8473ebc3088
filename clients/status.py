"""What a service says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker as its proxy sees it.

    Attributes:
        state: ``suspect`` workers have missed beats and get no new calls.
        rss_bytes: resident memory of its process.
    """

    id: str
    pid: int
    host: str
    state: Literal["ready", "suspect", "draining"]
    slots: int
    running: int
    up_s: float = 0.0
    rss_bytes: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """A service as its proxy sees it.

    Attributes:
        state: ``starting`` means that no worker has come yet; ``down`` that no proxy answers.
        queued: calls that wait for a slot.
        num_requeued: calls given to a second worker because the first one died.
        p95_s: seconds from arrival to answer, over the last calls.
    """

    service: str
    state: Literal["ready", "starting", "draining", "down"]
    workers: list[WorkerStatus] = field(default_factory=list)
    queued: int = 0
    running: int = 0
    pid: int = 0
    up_s: float = 0.0
    note: str = ""
    num_calls: int = 0
    num_failed: int = 0
    num_requeued: int = 0
    p95_s: float = 0.0
