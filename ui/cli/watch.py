"""Which directories of the service's disk are followed, and how is that changed?"""

from __future__ import annotations

from typing import get_args

import click

from clients.index import DEFAULT_CHUNK_SIZE, DEFAULT_OVERLAP, Chunking, Strategy

from . import show
from .options import json_option
from .session import Session


@click.group()
def watch() -> None:
    """Follow directories of the Index service's disk: what is new or changed there is so in a collection."""


@watch.command("list")
@json_option
@click.pass_obj
def list_(session: Session, as_json: bool) -> None:
    """List what is followed, and how far it is."""
    with session.mesh() as mesh:
        found = mesh.index.watches()
    if as_json:
        show.document(found)
        return
    if not found:
        show.note("nothing is followed: ragq watch add PATH -c COLLECTION")
        return
    rows = [
        (
            w.id, w.collection, w.path, w.num_files, w.num_waiting, "yes" if w.removes else "no",
            show.moment(w.checked_at) if w.checked_at else "not yet",
        )
        for w in found
    ]  # fmt: skip
    show.table(("ID", "COLLECTION", "PATH", "FILES", "WAITING", "REMOVES", "LOOKED AT"), rows)
    for w in found:
        if w.reason:
            show.note(f"{w.path}: {w.reason}")


@watch.command()
@click.argument("path")
@click.option("-c", "--collection", required=True, metavar="NAME", help="Collection; it is made when it is missing.")
@click.option("--remove", is_flag=True, help="Delete the documents of files that are deleted.")
@click.option(
    "--chunk-size", type=click.IntRange(min=1), default=DEFAULT_CHUNK_SIZE, show_default=True, help="Longest chunk."
)
@click.option(
    "--overlap", type=click.IntRange(min=0), default=DEFAULT_OVERLAP, show_default=True, help="Characters repeated."
)
@click.option(
    "--strategy", type=click.Choice(get_args(Strategy)), default="sentences", show_default=True, help="As in ragq add."
)
@json_option
@click.pass_obj
def add(
    session: Session,
    /,
    path: str,
    collection: str,
    remove: bool,
    chunk_size: int,
    overlap: int,
    strategy: Strategy,
    as_json: bool,
) -> None:
    """Follow PATH, a file or directory on the Index service's machine below index.roots, over restarts.

    The same path again changes how it is followed.
    """
    chunking = Chunking(chunk_size, overlap, strategy=strategy)
    with session.mesh() as mesh:
        made = mesh.index.watch(collection, path, removes=remove, chunking=chunking)
    if as_json:
        show.document(made)
    else:
        click.echo(f"{made.path} is followed into {made.collection}; ragq watch list shows how far it is")


@watch.command()
@click.argument("id", type=int)
@click.pass_obj
def remove(session: Session, id: int) -> None:  # noqa: A002 - what the user types
    """Follow it no longer; its documents stay."""
    with session.mesh() as mesh:
        mesh.index.unwatch(id)
    click.echo(f"{id} is followed no longer")
