"""What every proxy answers itself, whatever its service: how it is, what it has counted, whether it is to leave."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .status import ServiceStats
from .wire import Nothing, unary


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a proxy takes calls.

    Attributes:
        state: ``starting`` until a worker has come.
        proxy: id of this run of the proxy.
    """

    service: str
    state: Literal["ready", "starting", "draining"]
    proxy: str
    pid: int
    num_workers: int = 0


@dataclass(frozen=True, slots=True)
class Description:
    """What can be called through a proxy, and how much of it at a time.

    Attributes:
        methods: that its workers serve now.
        max_client_calls: calls of one client under way.
        max_client_bytes: their size together.
        max_waiting: calls that may wait for a worker.
    """

    service: str
    protocol: int
    methods: list[str] = field(default_factory=list)
    max_client_calls: int = 0
    max_client_bytes: int = 0
    max_waiting: int = 0


@dataclass(frozen=True, slots=True)
class Echo:
    """Anything, to be sent back."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker's process that has ended."""

    pid: int
    host: str


HEALTH = unary("_sys.health", Nothing, Health)
DESCRIBE = unary("_sys.describe", Nothing, Description)
STATS = unary("_sys.stats", Nothing, ServiceStats)
ECHO = unary("_sys.echo", Echo, Echo)
DRAIN = unary("_sys.drain", Nothing, Nothing)
LOST = unary("_sys.lost", Lost, Nothing)
FOR_ALL = (HEALTH, DESCRIBE, STATS, ECHO)
FOR_ADMINS = (DRAIN, LOST)
