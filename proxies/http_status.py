"""How do the mesh's own reports read over HTTP?"""

from __future__ import annotations

from clients.overview import MeshStatus

from .exposition import text
from .metrics import families


def health(status: MeshStatus) -> dict[str, object]:
    """What GET /health says."""
    services = [
        {"service": s.service, "state": s.state, "workers": len(s.workers), "running": s.running,
         "queued": s.queued, "note": s.note} for s in status.services
    ]  # fmt: skip
    return {"status": "ready" if status.ready else "unavailable", "services": services}


def metrics(status: MeshStatus) -> str:
    """What GET /metrics says."""
    return text(families(status))
