"""What the page that adds documents shows, and what it refuses before it calls anybody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from clients.index import DEFAULT_CHUNK_SIZE, DEFAULT_OVERLAP, FINISHED, Chunking, Document, JobRecord, Strategy
from ui import units
from ui.labels import Labels
from ui.told import told

MIN_SIZE, MAX_SIZE = 64, 8192
STABLE_S = 3.0


@dataclass(frozen=True, slots=True)
class Cut:
    """How texts are to be cut, and why that cannot be, in words."""

    chunking: Chunking
    problem: str = ""


def cut(
    size: int | None, overlap: int | None, labels: Labels, *, by_line: bool = False, strategy: Strategy = "sentences"
) -> Cut:
    """Check the numbers of the form."""
    if by_line:
        strategy = "sentences"
    overlap = DEFAULT_OVERLAP if overlap is None else overlap
    chunking = Chunking(size or DEFAULT_CHUNK_SIZE, overlap, by_line, strategy)
    if chunking.overlap >= chunking.size:
        return Cut(chunking, labels("ingest.bad_overlap", overlap=chunking.overlap, size=chunking.size))
    return Cut(chunking)


def lines_of(text: str) -> list[str]:
    """The lines that are not empty."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def free_names(names: Iterable[str]) -> list[str]:
    """The names in order, later twins numbered, so that two files of one name both arrive."""
    seen: set[str] = set()
    free: list[str] = []
    for name in names:
        path, number, candidate = PurePath(name), 2, name
        while candidate in seen:
            candidate, number = f"{path.stem} ({number}){path.suffix}", number + 1
        seen.add(candidate)
        free.append(candidate)
    return free


def first_outside(paths: Iterable[str], roots: Sequence[str]) -> str:
    """The first path that is plainly below none of the roots, or empty; the service checks again, links resolved."""
    allowed = [PurePath(root) for root in roots]
    return next((path for path in paths if not _is_below(PurePath(path), allowed)), "")


def _is_below(path: PurePath, roots: Sequence[PurePath]) -> bool:
    return ".." not in path.parts and any(path == root or root in path.parents for root in roots)


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that failed: its name, the reason and the cure."""

    name: str
    reason: str
    fix: str


def _failure(document: Document, labels: Labels) -> Failure:
    fix = labels("documents.fix", fix=told(document.fix, labels)) if document.fix else ""
    return Failure(document.name, told(document.reason, labels), fix)


@dataclass(frozen=True, slots=True)
class Card:
    """An ingest job as people see it.

    Attributes:
        fraction: 0 to 1, by bytes.
        can_ask: it brought something to ask about.
        headline: what it is doing, or how it ended.
        facts: one line of numbers.
        failures: documents that failed, each with reason and cure.
    """

    id: str
    collection: str
    is_running: bool
    can_ask: bool
    fraction: float
    headline: str
    facts: str
    current: str
    reason: str
    failures: list[Failure]


def card(job: JobRecord, labels: Labels) -> Card:
    """The card of a job."""
    is_running = job.status not in FINISHED
    return Card(
        id=job.id,
        collection=job.collection,
        is_running=is_running,
        can_ask=not is_running and job.num_done + job.unchanged > 0,
        fraction=_fraction(job),
        headline=_headline(job, labels),
        facts=" · ".join(_facts(job, labels)),
        current=labels("jobs.current", name=job.document) if is_running and job.document else "",
        reason="" if job.failures else told(job.reason, labels),
        failures=[_failure(document, labels) for document in job.failures],
    )


def _fraction(job: JobRecord) -> float:
    if job.status == "succeeded":
        return 1.0
    return min(1.0, job.bytes_done / max(1, job.bytes_total))


def _headline(job: JobRecord, labels: Labels) -> str:
    name = _name(job, labels)
    return f"{name} · {_standing(job, labels)}" if name else _standing(job, labels)


def _name(job: JobRecord, labels: Labels) -> str:
    """What the job is for; empty where documents are added by hand, which is the rule."""
    return "" if job.kind == "add" else labels(f"jobs.kind.{job.kind}", model=job.model)


def _standing(job: JobRecord, labels: Labels) -> str:
    if job.status == "running" and job.kind == "reindex":
        return _stage(job.stage, labels)
    if job.status == "running":
        done = job.num_done + job.num_failed
        return labels("jobs.running", done=done, total=job.num_documents, stage=_stage(job.stage, labels))
    # The service calls a job failed when it brought nothing new; to people it is not when the rest was there already.
    partly = job.num_failed and (job.status == "succeeded" or (job.status == "failed" and job.unchanged))
    return labels("jobs.partly" if partly else f"jobs.{job.status}")


def _stage(stage: str, labels: Labels) -> str:
    """The stage in words; what follows a colon is the service's own and stays."""
    name, colon, more = stage.partition(": ")
    return labels.word("stage", name.replace(" ", "_")) + colon + more


def _facts(job: JobRecord, labels: Labels) -> list[str]:
    facts = []
    if job.bytes_total:
        facts.append(labels("jobs.bytes", done=units.size(job.bytes_done), total=units.size(job.bytes_total)))
    if job.num_chunks:
        facts.append(labels("jobs.chunks", count=job.num_chunks))
    facts.append(labels("jobs.elapsed", elapsed=units.clock(job.elapsed_s)))
    left_s = _left_s(job)
    if left_s is not None:
        facts.append(labels("jobs.left", left=units.clock(left_s)))
    if job.unchanged:
        facts.append(labels("jobs.unchanged", count=job.unchanged))
    if job.num_failed:
        facts.append(labels("jobs.failures", count=job.num_failed))
    return facts


def _left_s(job: JobRecord) -> float | None:
    """Seconds left at the pace so far; None until some seconds and a tenth of the bytes have shown a pace."""
    is_stable = job.elapsed_s >= STABLE_S and job.bytes_done * 10 >= job.bytes_total > 0
    if job.status != "running" or not is_stable:
        return None
    return job.elapsed_s * (job.bytes_total - job.bytes_done) / job.bytes_done


def running(jobs: Iterable[JobRecord]) -> list[JobRecord]:
    """The jobs that still have work."""
    return [job for job in jobs if job.status not in FINISHED]
