"""How do documents get from this machine into a collection?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast, get_args

import click

from clients.errors import ConfigError
from clients.index import DEFAULT_CHUNK_SIZE, DEFAULT_OVERLAP, Chunking, Job, Strategy
from clients.mesh import Ragq
from clients.web import MAX_RESULTS

from . import show
from .endings import print_endings
from .keepup import KeepUp
from .options import json_option, standard_input
from .progress import follow, meter
from .session import Session
from .sources import Files, collect
from .surfing import found, parted

FILES_PER_JOB = 500
INTERRUPTED = 130
STDIN_NAME = "standard input.txt"


@dataclass(frozen=True, slots=True)
class Started:
    """Jobs that run, and what could not be read."""

    jobs: list[Job]
    left_out: tuple[str, ...] = ()


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH…|URL…|-")
@click.option("-c", "--collection", metavar="NAME", help="Collection to add to; it is made when it is missing.")
@click.option(
    "--chunk-size",
    type=click.IntRange(min=1),
    metavar="N",
    help="Longest chunk in characters; a CJK character counts as two.",
)
@click.option("--overlap", type=click.IntRange(min=0), metavar="N", help="Characters repeated from the chunk before.")
@click.option("--by-line", is_flag=True, help="Every non-empty line is one chunk.")
@click.option(
    "--strategy",
    type=click.Choice(get_args(Strategy)),
    default="sentences",
    show_default=True,
    help="What a chunk is: sentences up to the size; whole paragraphs of 50 to 200 words; a cell of a table; or, with "
    "parents, sentences that are found for the section around them, which is what answers read.",
)
@click.option(
    "--include", multiple=True, metavar="PATTERN", help="Of a directory, only such files: '*.md'. May be repeated."
)
@click.option("--name", default=STDIN_NAME, show_default=True, help="Name of the document read from standard input.")
@click.option("--web-search", metavar="QUERY", help="Search the web, list what is found, and add it if you agree.")
@click.option("--results", type=click.IntRange(1, MAX_RESULTS), default=5, show_default=True, help="Pages to find.")
@click.option("--yes", is_flag=True, help="Add what the web search finds without asking.")
@click.option("--no-wait", is_flag=True, help="Return when everything is handed over; print the job's id.")
@click.option("--watch", is_flag=True, help="Go on: send what is new or changed in the paths, until Ctrl-C.")
@click.option(
    "--follow", "followed", multiple=True, metavar="JOB", help="Show the progress of a job that runs already."
)
@json_option
@click.pass_obj
def add(
    session: Session,
    /,
    paths: tuple[str, ...],
    collection: str | None,
    followed: tuple[str, ...],
    no_wait: bool,
    as_json: bool,
    **settings: object,
) -> None:
    """Add files, directories, web pages or standard input (-) to a collection.

    Files are read on this machine and sent to the Index service. Documents that are there already are
    not added twice. Web pages (http://…, https://…) are fetched by the service where index.web.enabled lets it;
    one that changed takes the place of what it was. Ctrl-C leaves the job running.
    """
    with session.mesh() as mesh:
        if followed:
            started = Started([mesh.index.job(job_id) for job_id in followed])
        else:
            if settings.pop("watch"):
                _keep_up(mesh, paths, collection, settings)
                return
            started = _start(mesh, paths, collection, settings)
        if no_wait:
            _print_jobs(started.jobs, as_json)
        else:
            _finish(started.jobs, as_json)
    if started.left_out:
        raise SystemExit(1)


def _keep_up(mesh: Ragq, paths: Sequence[str], collection: str | None, settings: Mapping[str, object]) -> None:
    """Send what changes until Ctrl-C."""
    _, urls = parted(paths)
    if not paths or not collection or urls or "-" in paths or settings["web_search"]:
        raise click.UsageError("--watch goes with files and directories, and --collection NAME")
    include = settings["include"]
    assert isinstance(include, tuple)
    collect(paths, include)
    click.echo(f"following {', '.join(paths)}; Ctrl-C ends it", err=True)
    try:
        KeepUp(mesh, collection, paths, include, _chunking(mesh, settings)).run()
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _start(mesh: Ragq, paths: Sequence[str], collection: str | None, settings: Mapping[str, object]) -> Started:
    query = settings["web_search"]
    if not (paths or query) or not collection:
        raise click.UsageError("give a PATH, a URL (or - for standard input) and --collection NAME")
    chunking = _chunking(mesh, settings)
    paths, urls = parted(paths)
    if "-" in paths and (len(paths) > 1 or urls or query):
        raise click.UsageError("- stands alone: standard input is one document")
    if query:
        urls += found(mesh, str(query), int(str(settings["results"])), agreed=bool(settings["yes"]))
    pages = [mesh.index.add(collection, urls=urls, chunking=chunking)] if urls else []
    if not paths:
        return Started(pages)
    if "-" in paths:
        content = {str(settings["name"]): standard_input("text")}
        return Started([mesh.index.add(collection, files=content, chunking=chunking)])
    include = settings["include"]
    assert isinstance(include, tuple)
    files = collect(paths, include)
    for entry in files.left_out:
        show.note(f"left out: {entry}")
    return Started(pages + _upload(mesh, files, collection, chunking), files.left_out)


def _chunking(mesh: Ragq, settings: Mapping[str, object]) -> Chunking:
    size = settings["chunk_size"] or mesh.config.index.chunk_size or DEFAULT_CHUNK_SIZE
    overlap = settings["overlap"]
    assert isinstance(size, int)
    if overlap is None:
        configured = mesh.config.index.overlap or DEFAULT_OVERLAP
        overlap = min(configured, size // 8)
    assert isinstance(overlap, int)
    if overlap >= size:
        raise ConfigError(
            f"--overlap {overlap} is not less than --chunk-size {size}", help="a tenth of the size is usual"
        )
    return Chunking(size, overlap, bool(settings["by_line"]), strategy=cast("Strategy", settings["strategy"]))


def _upload(mesh: Ragq, files: Files, collection: str, chunking: Chunking) -> list[Job]:
    with meter() as report:
        sent = _Sent(files.num_bytes, report).on_upload
        parts = files.parts(FILES_PER_JOB)
        return [mesh.index.add(collection, files=part, chunking=chunking, on_upload=sent) for part in parts]


class _Sent:
    """Bytes sent so far, over many files."""

    def __init__(self, total: int, report: Callable[[str, int, int], None]) -> None:
        self._total, self._report, self._before = total, report, 0

    def on_upload(self, name: str, held: int, total: int) -> None:
        self._report(f"sending {show.snippet(name, 40)}", self._before + held, max(self._total, self._before + held))
        if held >= total:
            self._before += total


def _print_jobs(jobs: Sequence[Job], as_json: bool) -> None:
    if as_json:
        show.document({"jobs": [job.record for job in jobs]})
        return
    for job in jobs:
        click.echo(job.id)


def _finish(jobs: Sequence[Job], as_json: bool) -> None:
    began = time.monotonic()
    try:
        summary = follow(jobs)
    except KeyboardInterrupt:
        ids = " ".join(f"--follow {job.id}" for job in jobs)
        click.echo(
            f"\nThe job goes on in the Index service after {time.monotonic() - began:.0f} s.\n  ragq add {ids}",
            err=True,
        )
        raise SystemExit(INTERRUPTED) from None
    if as_json:
        show.document(summary)
    else:
        print_endings([job.record for job in jobs], summary.elapsed_s)
    if summary.failed:
        raise SystemExit(1)
