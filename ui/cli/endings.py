"""How did jobs end? A line for each collection, saying what was done there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import click

from clients.index import JobRecord
from clients.ingest import JobKind

from . import show
from .progress import Summary, print_failures, summarise

# What was done, and with what.
DONE: dict[JobKind, tuple[str, str]] = {
    "add": ("added", "document"),
    "web": ("fetched", "page"),
    "watch": ("taken over", "file"),
    "import": ("imported", "document"),
    "retry": ("ready now", "failed document"),
    "recut": ("cut anew", "document"),
    "repair": ("made anew", "document"),
    "resume": ("resumed", "document"),
}


def print_endings(records: Sequence[JobRecord], elapsed_s: float) -> None:
    """Print the line of each collection and kind of job, what failed before it on stderr.

    Args:
        records: of finished jobs.
        elapsed_s: seconds that somebody waited for all of them.
    """
    groups = [list(group) for _, group in groupby(sorted(records, key=_group), key=_group)]
    for group in groups:
        summary = summarise(group, elapsed_s if len(groups) == 1 else sum(r.elapsed_s for r in group))
        print_failures(summary)
        click.echo(ending(summary))


def _group(record: JobRecord) -> tuple[str, str, str]:
    return record.collection, record.kind, record.model


def ending(summary: Summary) -> str:
    """The line for jobs of one collection and one kind."""
    what = _reindexed(summary) if summary.kinds[0] == "reindex" else _documents(summary, *DONE[summary.kinds[0]])
    return f"{summary.collection}: {what}, {show.duration(summary.elapsed_s)}"


def _reindexed(summary: Summary) -> str:
    if summary.reasons:
        return f"not re-indexed by {summary.model}"
    return f"re-indexed, {summary.num_chunks} chunks by {summary.model}"


def _documents(summary: Summary, done: str, noun: str) -> str:
    parts = [f"{summary.num_done} {done}"]
    if summary.unchanged:
        parts.append(f"{summary.unchanged} unchanged")
    if summary.num_failed:
        parts.append(f"{summary.num_failed} failed")
    num_given = summary.num_documents + summary.unchanged
    return f"{', '.join(parts)} of {num_given} {noun}{'s' * (num_given != 1)}, {summary.num_chunks} chunks"
