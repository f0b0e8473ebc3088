"""How does a whole collection become one file?"""

from __future__ import annotations

from pathlib import Path

import click

from . import show
from .options import json_option
from .progress import meter
from .session import Session


@click.command()
@click.option("-c", "--collection", required=True, metavar="NAME", help="Name of the collection.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to write it; NAME.ragq otherwise.",
)
@click.option("--originals/--no-originals", default=True, help="With the files as they came, or without.")
@click.option("--vectors/--no-vectors", default=True, help="With vectors, or embed again where it comes in.")
@json_option
@click.pass_obj
def export(
    session: Session, collection: str, output: Path | None, originals: bool, vectors: bool, as_json: bool
) -> None:
    """Write a collection to one file: originals, chunks with their changes, vectors, settings."""
    path = output or Path(f"{collection}.ragq")
    with session.mesh() as mesh, meter() as told:
        exported = mesh.index.export_collection(
            collection, path, with_originals=originals, with_vectors=vectors, on_progress=told
        )
    if as_json:
        show.document(exported)
    else:
        size = show.size(exported.num_bytes)
        click.echo(f"{path}: {exported.num_documents} documents, {exported.num_chunks} chunks, {size}")
