"""How does a whole collection become one file?"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import get_args

import click

from clients.conversion import unpack
from clients.errors import BadRequest
from clients.flatindex import FlatIndex, Metric, write_flat
from clients.passages import write_passages

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
    help="Where to write it; NAME.ragq otherwise, NAME.faiss or NAME.json.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["ragq", "faiss", "passages"]),
    default="ragq",
    show_default=True,
    help="All of the collection; a flat FAISS index with the list of its texts beside it; or passages as JSON.",
)
@click.option(
    "--metric", type=click.Choice(get_args(Metric)), default="ip", show_default=True, help="Of the FAISS index."
)
@click.option("--originals/--no-originals", default=True, help="With the files as they came, or without.")
@click.option("--vectors/--no-vectors", default=True, help="With vectors, or embed again where it comes in.")
@click.option("--testsets/--no-testsets", default=True, help="With the test sets that measure it, or without.")
@json_option
@click.pass_obj
def export(
    session: Session,
    /,
    collection: str,
    output: Path | None,
    kind: str,
    metric: Metric,
    as_json: bool,
    **parts: bool,
) -> None:
    """Write a collection to one file: originals, chunks with their changes, vectors, settings, test sets.

    With --format faiss, FILE is an index that faiss.read_index opens, and FILE.json the list of its texts in the order
    of its vectors; with --format passages, FILE is a list of objects with text, source, heading and page.
    """
    if kind != "ragq":
        _convert(session, collection, output, metric if kind == "faiss" else None, as_json=as_json)
        return
    path = output or Path(f"{collection}.ragq")
    with session.mesh() as mesh, meter() as told:
        exported = mesh.index.export_collection(
            collection,
            path,
            with_originals=parts["originals"],
            with_vectors=parts["vectors"],
            with_testsets=parts["testsets"],
            on_progress=told,
        )
    if as_json:
        show.document(exported)
    else:
        size = show.size(exported.num_bytes)
        click.echo(f"{path}: {exported.num_documents} documents, {exported.num_chunks} chunks, {size}")


def _convert(session: Session, collection: str, output: Path | None, metric: Metric | None, *, as_json: bool) -> None:
    """Write a FAISS index with its texts, or passages when there is no metric."""
    path = output or Path(f"{collection}.{'faiss' if metric else 'json'}")
    with tempfile.TemporaryDirectory() as directory, session.mesh() as mesh, meter() as told:
        packed = Path(directory, "collection")
        mesh.index.export_collection(
            collection,
            packed,
            with_originals=False,
            with_vectors=metric is not None,
            with_testsets=False,
            on_progress=told,
        )
        passages, vectors = unpack(packed)
    if not passages:
        raise BadRequest(f"the collection '{collection}' has no passages yet", help="add documents to it first")
    texts = path.with_name(path.name + ".json") if metric else path
    try:
        if metric:
            write_flat(path, FlatIndex(metric, vectors))
        write_passages(texts, passages, texts_only=metric is not None)
    except OSError as error:
        raise BadRequest(f"cannot write {path}: {error.strerror or error}") from error
    if as_json:
        show.document({"texts": str(texts), "num_passages": len(passages)} | ({"index": str(path)} if metric else {}))
    else:
        click.echo(f"{path} and {texts}: {len(passages)} texts" if metric else f"{path}: {len(passages)} passages")
