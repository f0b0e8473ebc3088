"""How does a collection get another embedding model?"""

from __future__ import annotations

import time

import click

from clients.index import Job

from . import show
from .add import INTERRUPTED
from .endings import print_endings
from .options import json_option
from .progress import follow
from .session import Session


@click.command()
@click.argument("collection")
@click.option(
    "--model", default="", metavar="NAME", help="Embedding model to change to; otherwise the one that serves."
)
@click.option("--no-wait", is_flag=True, help="Return when the job is queued; print its id.")
@json_option
@click.pass_obj
def reindex(session: Session, collection: str, model: str, no_wait: bool, as_json: bool) -> None:
    """Make a collection's vectors anew, by another embedding model or by the same one.

    Searches go on meanwhile, by the present vectors until all new ones are there. Ctrl-C leaves the job running.
    """
    with session.mesh() as mesh:
        job = mesh.index.reindex(collection, model)
        if not no_wait:
            _wait(job)
    if as_json:
        show.document(job.record)
    elif no_wait:
        click.echo(job.id)
    else:
        print_endings([job.record], job.record.elapsed_s)
    if job.record.status in ("failed", "cancelled"):
        raise SystemExit(1)


def _wait(job: Job) -> None:
    began = time.monotonic()
    try:
        follow([job])
    except KeyboardInterrupt:
        click.echo(
            f"\nThe job goes on in the Index service after {time.monotonic() - began:.0f} s.\n"
            f"  ragq add --follow {job.id}",
            err=True,
        )
        raise SystemExit(INTERRUPTED) from None
