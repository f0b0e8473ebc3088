"""What does every proxy of a mesh say, and what is that for a service as a whole?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .client import Client
from .errors import RagqError, RequestError
from .status import ServiceStats, ServiceStatus, WorkerStatus
from .system import STATS
from .wire import Nothing

STATES = ("ready", "starting", "draining", "down")


@dataclass(frozen=True, slots=True)
class ProxyReport:
    """One proxy's view of its service; a proxy that does not answer is ``down`` and its note says why.

    Attributes:
        number: 0 is the proxy of ``front_end``, 1 the first under ``proxies``.
        address: of its front.
        stats: what it has counted; None where it does not tell.
    """

    service: str
    number: int
    address: str
    status: ServiceStatus
    stats: ServiceStats | None = None


@dataclass(frozen=True, slots=True)
class MeshStatus:
    """What each service says of itself; a service that does not answer says why in its note.

    Attributes:
        services: one entry per service, its proxies taken together.
        proxies: what each proxy says.
    """

    services: list[ServiceStatus]
    proxies: list[ProxyReport] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        """Whether every service has a worker that takes calls."""
        return all(service.state == "ready" for service in self.services)

    @property
    def whole(self) -> bool:
        """Whether, besides, every proxy answers."""
        return self.ready and all(proxy.status.state != "down" for proxy in self.proxies)


class Overview:
    """Asks every proxy at once; it keeps its connections, so that asking every second is cheap.

    Args:
        fronts: the addresses of each service's proxies.
        connect: makes the client for one address.
    """

    def __init__(self, fronts: Mapping[str, Sequence[str]], connect: Callable[[str], Client] = Client) -> None:
        self._clients = {
            (service, number): connect(address)
            for service, addresses in fronts.items()
            for number, address in enumerate(addresses)
        }

    def look(self, timeout_s: float = 2.0) -> MeshStatus:
        """What all proxies say now; never raises for one that is down."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max(1, len(self._clients))) as threads:
            proxies = list(threads.map(lambda place: self._ask(place[0], place[1], timeout_s), self._clients))
        services = dict.fromkeys(report.service for report in proxies)
        return MeshStatus([together([p for p in proxies if p.service == name]) for name in services], proxies)

    def _ask(self, service: str, number: int, timeout_s: float) -> ProxyReport:
        client = self._clients[service, number]
        try:
            status = client.status(timeout_s)
            return ProxyReport(service, number, client.address, status, self._stats(client, timeout_s))
        except RagqError as error:
            down = ServiceStatus(service=service, state="down", note=error.message)
            return ProxyReport(service, number, client.address, down)

    def _stats(self, client: Client, timeout_s: float) -> ServiceStats | None:
        try:
            return client.call(STATS, Nothing(), timeout_s=timeout_s)
        except RequestError:  # this key may not ask, or the proxy is older than the question
            return None

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            client.close()


def together(reports: Sequence[ProxyReport]) -> ServiceStatus:
    """A service as all of its proxies see it: as good as its best proxy, counts added up."""
    alive = [report.status for report in reports if report.status.state != "down"]
    best = min((report.status for report in reports), key=lambda status: STATES.index(status.state))
    if len(reports) == 1 or not alive:
        return best
    lost = [f"proxy {report.number}: {report.status.note}" for report in reports if report.status.state == "down"]
    return replace(
        best,
        workers=merged(worker for status in alive for worker in status.workers),
        queued=sum(status.queued for status in alive),
        running=sum(status.running for status in alive),
        up_s=max(status.up_s for status in alive),
        note="; ".join(filter(None, [best.note, *lost])),
        num_calls=sum(status.num_calls for status in alive),
        num_failed=sum(status.num_failed for status in alive),
        num_requeued=sum(status.num_requeued for status in alive),
        p95_s=max(status.p95_s for status in alive),
    )


def merged(views: Iterable[WorkerStatus]) -> list[WorkerStatus]:
    """Each worker once; its slots are split over the proxies that know it."""
    workers: dict[str, WorkerStatus] = {}
    for view in views:
        known = workers.get(view.id)
        if known is None:
            workers[view.id] = view
        else:
            best = view if view.state == "ready" else known
            workers[view.id] = replace(best, slots=known.slots + view.slots, running=known.running + view.running)
    return list(workers.values())
