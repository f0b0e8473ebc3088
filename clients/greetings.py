"""What clients, proxies and workers tell one another about themselves: who is there, and how it is."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Hello:
    """What a client says first on a connection, so that the proxy can tell it when it is about to leave."""

    version: str = ""
    host: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a proxy answers: who it is, and what one client may have under way.

    Attributes:
        proxy: id of this run of the proxy.
        max_calls: calls of one client at a time.
        max_bytes: bytes of one client's calls at a time.
    """

    proxy: str
    service: str
    max_calls: int = 0
    max_bytes: int = 0


LEGACY = "_legacy"
"""What the calls of the older mesh are called among methods; every worker serves them that does not say `elsewhere`."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What a worker says when it offers itself to a proxy.

    Attributes:
        slots: calls that this proxy may give it at a time.
        max_stall_s: seconds without a beat after which its calls are given up; 0 means never.
        elsewhere: methods of the service that another worker of it serves, now or soon; their calls wait for it.
        version: of ragq, for the status page.
    """

    uuid: str
    pid: int
    host: str
    service: str
    methods: list[str]
    slots: int
    started_at: float = 0.0
    max_stall_s: float = 60.0
    version: str = ""
    elsewhere: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Beat:
    """What a worker says every half second.

    Attributes:
        running: the calls it holds of this proxy, as (route, id).
        lag_s: how late its loop was at worst since the last beat.
        cpu_s: processor time of its process since the start.
    """

    running: list[tuple[bytes, int]] = field(default_factory=list)
    rss_bytes: int = 0
    note: str = ""
    lag_s: float = 0.0
    cpu_s: float = 0.0
