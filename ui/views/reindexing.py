"""What the card of a knowledge base says of its embedding model when another one serves, or is on its way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clients.index import FINISHED, Collection, JobRecord
from clients.llm import ModelInfo
from ui.labels import Labels


@dataclass(frozen=True, slots=True)
class Notice:
    """A line on a card.

    Attributes:
        job_id: of the re-index that runs; empty while none does and one may be started.
        fraction: how far it is, 0 to 1.
    """

    text: str
    job_id: str = ""
    fraction: float = 0.0


def notice(
    collection: Collection, models: Sequence[ModelInfo], jobs: Sequence[JobRecord], labels: Labels
) -> Notice | None:
    """The line of a collection; None when its own model serves, or nobody knows which one does."""
    running = running_of(collection, jobs)
    if running is not None:
        fraction = min(1.0, running.bytes_done / max(1, running.bytes_total))
        told = labels("reindex.running", model=running.model, percent=round(100 * fraction))
        return Notice(told, running.id, fraction)
    serving = next((model.name for model in models if model.role == "embed" and model.status == "ready"), "")
    if not serving or not collection.model or serving == collection.model:
        return None
    return Notice(labels("reindex.differs", own=collection.model, serving=serving))


def running_of(collection: Collection, jobs: Sequence[JobRecord]) -> JobRecord | None:
    """The re-index of a collection that runs."""
    own = (job for job in jobs if job.model and job.collection == collection.name)
    return next((job for job in own if job.status not in FINISHED), None)
