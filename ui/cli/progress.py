"""How far is an ingest job? A bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from clients.index import FINISHED, Document, Job, JobRecord
from clients.ingest import JobKind

from . import show

EVERY_S = 0.2
PLAIN_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Summary:
    """What some jobs did together.

    Attributes:
        num_documents: documents that had to be worked on.
        unchanged: documents besides them that were there already with the same content.
        reasons: why jobs as a whole failed.
        num_done: documents that are ready now.
        kinds: what each of the jobs was for.
        model: what a collection was embedded anew by.
    """

    collection: str
    jobs: list[str]
    num_documents: int
    num_failed: int
    unchanged: int
    num_chunks: int
    elapsed_s: float
    reasons: list[str] = field(default_factory=list)
    failures: list[Document] = field(default_factory=list)
    num_done: int = 0
    kinds: list[JobKind] = field(default_factory=list)
    model: str = ""

    @property
    def failed(self) -> bool:
        """Whether anything did not arrive."""
        return bool(self.num_failed or self.reasons)


def summarise(records: Sequence[JobRecord], elapsed_s: float) -> Summary:
    """One summary of finished jobs."""
    return Summary(
        collection=records[0].collection if records else "",
        jobs=[r.id for r in records],
        num_documents=sum(r.num_documents for r in records),
        num_failed=sum(r.num_failed for r in records),
        unchanged=sum(r.unchanged for r in records),
        num_chunks=sum(r.num_chunks for r in records),
        elapsed_s=round(elapsed_s, 3),
        reasons=[r.reason or f"job {r.id} was {r.status}" for r in records if _broke(r)],
        failures=[document for r in records for document in r.failures],
        num_done=sum(r.num_done for r in records),
        kinds=[r.kind for r in records],
        model=records[0].model if records else "",
    )


def _broke(record: JobRecord) -> bool:
    return record.status == "cancelled" or (record.status == "failed" and not record.num_failed)


def follow(jobs: Sequence[Job]) -> Summary:
    """Show the progress of jobs until all are finished."""
    began = time.monotonic()
    with meter() as report:
        for records in _watch(jobs):
            report(*_standing(records))
    return summarise([job.record for job in jobs], max(time.monotonic() - began, *(j.record.elapsed_s for j in jobs)))


def _watch(jobs: Sequence[Job]) -> Iterator[list[JobRecord]]:
    while True:
        running = [job for job in jobs if job.record.status not in FINISHED]
        for job in running:
            job.refresh()
        yield [job.record for job in jobs]
        if all(job.record.status in FINISHED for job in jobs):
            return
        time.sleep(EVERY_S)


def _standing(records: Sequence[JobRecord]) -> tuple[str, int, int]:
    current = next((r for r in records if r.status not in FINISHED), records[-1])
    num_done = sum(r.num_done + r.num_failed for r in records)
    what = " ".join(part for part in (current.stage, show.snippet(current.document, 40)) if part)
    label = f"{num_done}/{sum(r.num_documents for r in records)} {what}".strip()
    return label, sum(r.bytes_done for r in records), sum(r.bytes_total for r in records)


Report = Callable[[str, int, int], None]


@contextmanager
def meter(unit: str = "bytes") -> Iterator[Report]:
    """A function to report (label, done, total) to; it shows them on stderr.

    Args:
        unit: ``bytes``, or what else is counted.
    """
    console = show.terminal(sys.stderr)
    if not console.is_terminal:
        yield PlainMeter(unit).report
        return
    counted = DownloadColumn() if unit == "bytes" else TextColumn("{task.completed:.0f}/{task.total:.0f}")
    console.soft_wrap = False
    columns = (BarColumn(), counted, TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda label, done, total: _draw(bar, task, label, done, total)


def _draw(bar: Progress, task: TaskID, label: str, done: int, total: int) -> None:
    bar.update(task, description=label, completed=done, total=total or None)


class PlainMeter:
    """A line every few seconds; a short job has none."""

    def __init__(self, unit: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._unit, self._clock = unit, clock
        self._last = clock()

    def report(self, label: str, done: int, total: int) -> None:
        """Print where the work stands, unless that was done a moment ago."""
        if not total or self._clock() - self._last < PLAIN_EVERY_S:
            return
        self._last = self._clock()
        counted = f"{show.size(done)} of {show.size(total)}" if self._unit == "bytes" else f"{done} of {total}"
        click.echo(f"{done / total:4.0%}  {counted}  {label}", err=True)


def print_failures(summary: Summary) -> None:
    """List what failed, why, and what to do about it, on stderr."""
    for reason in summary.reasons:
        click.echo(f"failed: {reason}", err=True)
    for document in summary.failures:
        click.echo(f"failed: {document.name}: {document.reason}", err=True)
        if document.fix:
            click.echo(f"        {document.fix}", err=True)
    unnamed = summary.num_failed - len(summary.failures)
    if unnamed > 0 and summary.failures:
        click.echo(f"        and {unnamed} more: ragq documents -c {summary.collection} --failed", err=True)
