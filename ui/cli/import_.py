"""How does an exported collection come in?"""

from __future__ import annotations

from pathlib import Path

import click

from clients.index import Job

from . import show
from .endings import print_endings
from .options import json_option
from .progress import follow, meter
from .session import Session


@click.command("import")
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--name", default="", metavar="NAME", help="What to call the collection; its old name otherwise.")
@json_option
@click.pass_obj
def import_(session: Session, path: Path, name: str, as_json: bool) -> None:
    """Make a collection of a FILE that ragq export wrote."""
    with session.mesh() as mesh:
        with meter() as told:
            job = mesh.index.import_collection(path, name, on_progress=told)
        finish(job, as_json=as_json)


def finish(job: Job, *, as_json: bool) -> None:
    """Show how a collection comes in, and what failed."""
    summary = follow([job])
    if as_json:
        show.document(summary)
    else:
        print_endings([job.record], summary.elapsed_s)
    if summary.failed:
        raise SystemExit(1)
