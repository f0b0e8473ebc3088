"""What runs, and how well?"""

from __future__ import annotations

import click

from clients.overview import MeshStatus, ProxyReport
from clients.status import ServiceStatus

from . import show
from .options import json_option
from .session import Session

COLUMNS = ("SERVICE", "STATE", "PID", "UP", "WORKERS", "RSS", "CALLS", "FAILED", "P95", "RUNNING", "QUEUED", "NOTE")
PROXIES = ("PROXY", "STATE", "PID", "UP", "WORKERS", "CALLS", "FAILED", "RUNNING", "QUEUED", "ADDRESS", "NOTE")


@click.command()
@json_option
@click.pass_obj
def status(session: Session, as_json: bool) -> None:
    """Show every service, its proxies and workers; exit code 1 unless all are ready and every proxy answers."""
    with session.mesh() as mesh:
        found = mesh.status()
        disabled = [name for name in ("llm", "index", "tuning") if name not in mesh.config.enabled_services]
    if as_json:
        document = {"ready": found.ready, "services": found.services, "proxies": found.proxies, "disabled": disabled}
        show.document(document)
    else:
        show.table(COLUMNS, [_row(service) for service in found.services] + [_off(name) for name in disabled])
        if any(proxy.number for proxy in found.proxies):
            click.echo()
            show.table(PROXIES, [_proxy(proxy) for proxy in found.proxies])
    if not found.whole:
        advise(found)
        raise SystemExit(1)


def advise(found: MeshStatus) -> None:
    """Say what to do about a mesh that is not whole."""
    if any(service.state == "down" for service in found.services):
        show.note(
            "a service is down: 'ragq up' starts the mesh, 'ragq restart' what was drained; 'ragq doctor' tells more"
        )
    elif found.ready:
        show.note("every service works, but not every proxy answers: 'ragq logs proxy' tells what they said")


def _row(service: ServiceStatus) -> tuple[object, ...]:
    if service.state == "down":
        return service.service, "down", *("-",) * 9, service.note or "no proxy answers: ragq up"
    rss_bytes = sum(worker.rss_bytes for worker in service.workers)
    notes = [service.note, *sorted({worker.note for worker in service.workers if worker.note})]
    return (
        service.service, service.state, service.pid, show.duration(service.up_s), len(service.workers),
        show.size(rss_bytes), service.num_calls, service.num_failed, show.latency(service.p95_s),
        service.running, service.queued, "; ".join(filter(None, notes)),
    )  # fmt: skip


def _proxy(report: ProxyReport) -> tuple[object, ...]:
    status, name = report.status, f"{report.service} {report.number}"
    if status.state == "down":
        return name, "down", *("-",) * 7, report.address, status.note
    queued = "+".join(map(str, report.stats.waiting if report.stats else [status.queued]))
    return (
        name, status.state, status.pid, show.duration(status.up_s), len(status.workers), status.num_calls,
        status.num_failed, status.running, queued, report.address, status.note,
    )  # fmt: skip


def _off(name: str) -> tuple[object, ...]:
    return name, "off", *("-",) * 9, f"{name}.enabled is false"
