"""How do the mesh's own reports read over HTTP?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from clients.overview import MeshStatus
from clients.status import ServiceStatus

STATES = ("ready", "starting", "draining", "down")
Reading = Callable[[ServiceStatus], float]
GAUGES: dict[str, tuple[str, Reading]] = {
    "ragq_workers": ("Workers that take calls.", lambda s: sum(w.state == "ready" for w in s.workers)),
    "ragq_calls_running": ("Calls that a worker holds.", lambda s: s.running),
    "ragq_calls_queued": ("Calls that wait for a slot.", lambda s: s.queued),
    "ragq_call_seconds_p95": ("Seconds from arrival to answer, over the last calls.", lambda s: s.p95_s),
    "ragq_resident_bytes": ("Resident memory of the workers.", lambda s: sum(w.rss_bytes for w in s.workers)),
}
COUNTERS: dict[str, tuple[str, Reading]] = {
    "ragq_calls_total": ("Calls that ended.", lambda s: s.num_calls),
    "ragq_calls_failed_total": ("Calls that ended with a failure.", lambda s: s.num_failed),
    "ragq_calls_requeued_total": ("Calls given to a second worker.", lambda s: s.num_requeued),
}


def health(status: MeshStatus) -> dict[str, object]:
    """What GET /health says."""
    services = [
        {"service": s.service, "state": s.state, "workers": len(s.workers), "running": s.running,
         "queued": s.queued, "note": s.note} for s in status.services
    ]  # fmt: skip
    return {"status": "ready" if status.ready else "unavailable", "services": services}


def metrics(status: MeshStatus) -> str:
    """The same in Prometheus' text format."""
    return "\n".join(
        [*_states(status), *_readings(status, GAUGES, "gauge"), *_readings(status, COUNTERS, "counter"), ""]
    )


def _states(status: MeshStatus) -> Iterator[str]:
    yield "# HELP ragq_service_state 1 for the state that the service is in."
    yield "# TYPE ragq_service_state gauge"
    for service in status.services:
        for state in STATES:
            yield f'ragq_service_state{{service="{service.service}",state="{state}"}} {int(service.state == state)}'


def _readings(status: MeshStatus, table: dict[str, tuple[str, Reading]], kind: str) -> Iterator[str]:
    for name, (words, reading) in table.items():
        yield f"# HELP {name} {words}"
        yield f"# TYPE {name} {kind}"
        for service in status.services:
            yield f'{name}{{service="{service.service}"}} {reading(service):g}'
