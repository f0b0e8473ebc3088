"""Which numbers does a mesh give to Prometheus?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from clients.overview import STATES, MeshStatus, ProxyReport
from clients.status import ServiceStats, ServiceStatus

from .exposition import Family, Sample, histogram

LANES = ("interactive", "bulk")
S = TypeVar("S")
Labelled = Iterable[tuple[Mapping[str, str], float]]


@dataclass(frozen=True, slots=True)
class Figure(Generic[S]):
    """A name, and how its number, or its labelled numbers, are read off what somebody says."""

    name: str
    kind: Literal["counter", "gauge"]
    words: str
    read: Callable[[S], float | Labelled]


SERVICES: tuple[Figure[ServiceStatus], ...] = (
    Figure(
        "ragq_service_state", "gauge", "1 for the state that the service is in.",
        lambda s: [({"state": state}, float(s.state == state)) for state in STATES],
    ),
    Figure("ragq_workers", "gauge", "Workers that take calls.", lambda s: sum(w.state == "ready" for w in s.workers)),
    Figure("ragq_calls_running", "gauge", "Calls that a worker holds.", lambda s: s.running),
    Figure("ragq_calls_queued", "gauge", "Calls that wait for a slot.", lambda s: s.queued),
    Figure("ragq_call_seconds_p95", "gauge", "Seconds from arrival to answer, over the last calls.", lambda s: s.p95_s),
    Figure(
        "ragq_resident_bytes", "gauge", "Resident memory of the workers.", lambda s: sum(w.rss_bytes for w in s.workers)
    ),
    Figure("ragq_calls_total", "counter", "Calls that ended.", lambda s: s.num_calls),
    Figure("ragq_calls_failed_total", "counter", "Calls that ended with a failure.", lambda s: s.num_failed),
    Figure("ragq_calls_requeued_total", "counter", "Calls given to a second worker.", lambda s: s.num_requeued),
)  # fmt: skip
REPORTS: tuple[Figure[ProxyReport], ...] = (
    Figure("ragq_up", "gauge", "Whether the proxy answers.", lambda r: r.status.state != "down"),
)
PROXIES: tuple[Figure[ServiceStats], ...] = (
    Figure("ragq_proxy_up_seconds", "gauge", "Seconds since the proxy started.", lambda s: s.up_s),
    Figure("ragq_proxy_cpu_seconds_total", "counter", "Processor seconds of the proxy.", lambda s: s.cpu_s),
    Figure("ragq_proxy_resident_bytes", "gauge", "Resident memory of the proxy.", lambda s: s.rss_bytes),
    Figure(
        "ragq_refused_connections_total", "counter", "Connections of keys that may not come.",
        lambda s: s.refused_connections,
    ),
    Figure("ragq_queue_calls", "gauge", "Calls that wait for a slot, by lane.", lambda s: _by("lane", _lanes(s))),
    Figure("ragq_queue_bytes", "gauge", "Bytes of the calls that wait.", lambda s: s.waiting_bytes),
    Figure("ragq_slots", "gauge", "Calls that the workers take at a time.", lambda s: s.slots),
    Figure("ragq_slots_used", "gauge", "Calls that the workers hold.", lambda s: s.running),
    Figure("ragq_clients", "gauge", "Clients with calls under way.", lambda s: s.clients),
    Figure("ragq_proxy_workers", "gauge", "Workers that the proxy knows, by state.", lambda s: _by("state", s.workers)),
    Figure(
        "ragq_method_calls_total", "counter", "Calls that ended, by method and by how; code 0 is success.",
        lambda s: [
            ({"method": m.method, "code": str(o.code), "reason": o.reason}, o.num)
            for m in s.methods for o in m.outcomes
        ],
    ),
    Figure("ragq_requeues_total", "counter", "Calls given to another worker.", lambda s: s.requeued),
    Figure("ragq_nacks_total", "counter", "Calls that a worker handed back unbegun.", lambda s: s.nacks),
    Figure("ragq_refusals_total", "counter", "Calls not taken in, by reason.", lambda s: _by("reason", s.refusals)),
    Figure("ragq_worker_losses_total", "counter", "Workers that left, by cause.", lambda s: _by("cause", s.losses)),
    Figure(
        "ragq_expired_total", "counter", "Calls whose time ran out, by where they were.",
        lambda s: _by("where", {"queue": s.expired_waiting, "worker": s.expired_running}),
    ),
    Figure("ragq_stream_chunks_total", "counter", "Chunks of streams passed on.", lambda s: s.chunks),
    Figure(
        "ragq_slow_streams_total", "counter", "Calls cancelled because their client did not read.",
        lambda s: s.slow_streams,
    ),
    Figure("ragq_late_replies_total", "counter", "Answers that nobody waited for.", lambda s: s.late_replies),
    Figure(
        "ragq_protocol_errors_total", "counter", "Messages that could not be read or were not due.",
        lambda s: s.protocol_errors,
    ),
)  # fmt: skip
DURATIONS = "ragq_call_duration_seconds"
DURATION_WORDS = "Seconds of the calls that were answered: in the queue, at the worker, and in all."


def families(status: MeshStatus) -> Iterator[Family]:
    """Everything that services and proxies say; of a proxy that is down only that it is."""
    services = [({"service": service.service}, service) for service in status.services]
    reports = [({"service": r.service, "proxy": str(r.number)}, r) for r in status.proxies]
    told = [(labels, report.stats) for labels, report in reports if report.stats]
    yield from (_family(figure, services) for figure in SERVICES)
    yield from (_family(figure, reports) for figure in REPORTS)
    yield from (_family(figure, told) for figure in PROXIES)
    samples = [sample for labels, stats in told for sample in _durations(labels, stats)]
    yield Family(DURATIONS, "histogram", DURATION_WORDS, samples)


def names() -> list[str]:
    """The name of every family."""
    return [*(figure.name for table in (SERVICES, REPORTS, PROXIES) for figure in table), DURATIONS]


def _family(figure: Figure[S], sources: Iterable[tuple[dict[str, str], S]]) -> Family:
    samples = [
        Sample({**labels, **more}, value) for labels, source in sources for more, value in _told(figure.read(source))
    ]
    return Family(figure.name, figure.kind, figure.words, samples)


def _told(found: float | Labelled) -> Labelled:
    return [({}, found)] if isinstance(found, int | float) else found


def _by(label: str, values: Mapping[str, float]) -> Labelled:
    return [({label: name}, value) for name, value in values.items()]


def _lanes(stats: ServiceStats) -> dict[str, int]:
    return dict(zip(LANES, stats.waiting, strict=False))


def _durations(labels: dict[str, str], stats: ServiceStats) -> Iterator[Sample]:
    for method in stats.methods:
        parts = {"queue": method.queue, "worker": method.worker, "total": method.total}
        for part, seen in parts.items():
            more = {**labels, "method": method.method, "part": part}
            yield from histogram(more, stats.bounds_s, seen.counts, seen.sum_s)
