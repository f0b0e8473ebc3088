"""What runs, and how well?"""

from __future__ import annotations

import click

from clients.status import ServiceStatus

from . import show
from .options import json_option
from .session import Session

COLUMNS = ("SERVICE", "STATE", "PID", "UP", "WORKERS", "RSS", "CALLS", "FAILED", "P95", "RUNNING", "QUEUED", "NOTE")


@click.command()
@json_option
@click.pass_obj
def status(session: Session, as_json: bool) -> None:
    """Show every service and its workers; exit code 1 unless all are ready."""
    with session.mesh() as mesh:
        found = mesh.status()
        disabled = [name for name in ("llm", "index", "tuning") if name not in mesh.config.enabled_services]
    if as_json:
        show.document({"ready": found.ready, "services": found.services, "disabled": disabled})
    else:
        show.table(COLUMNS, [_row(service) for service in found.services] + [_off(name) for name in disabled])
    if not found.ready:
        if any(service.state == "down" for service in found.services):
            show.note("a service is down: 'ragq up' starts the mesh, 'ragq doctor' tells what keeps it from starting")
        raise SystemExit(1)


def _row(service: ServiceStatus) -> tuple[object, ...]:
    if service.state == "down":
        return service.service, "down", *("-",) * 9, service.note or "no proxy answers: ragq up"
    rss_bytes = sum(worker.rss_bytes for worker in service.workers)
    notes = [service.note, *sorted({worker.note for worker in service.workers if worker.note})]
    return (
        service.service, service.state, service.pid, show.duration(service.up_s), len(service.workers),
        show.size(rss_bytes), service.num_calls, service.num_failed, _latency(service.p95_s),
        service.running, service.queued, "; ".join(filter(None, notes)),
    )  # fmt: skip


def _off(name: str) -> tuple[object, ...]:
    return name, "off", *("-",) * 9, f"{name}.enabled is false"


def _latency(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
