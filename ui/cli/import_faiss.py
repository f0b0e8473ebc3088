"""How does an index of an older pipeline come in: a flat FAISS file and the list of its texts?"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import numpy as np

from clients.conversion import check, pack, verdict
from clients.flatindex import FlatIndex, read_flat
from clients.mesh import Ragq
from clients.passages import Passage, read_passages

from .import_ import finish
from .options import json_option
from .progress import meter
from .session import Session


@click.command("import-faiss")
@click.argument("index", type=click.Path(path_type=Path), metavar="INDEX")
@click.argument("texts", type=click.Path(path_type=Path), metavar="TEXTS")
@click.argument("collection", metavar="COLLECTION")
@click.option("--reembed", is_flag=True, help="Make new vectors, whatever those of the index are.")
@json_option
@click.pass_obj
def import_faiss(session: Session, index: Path, texts: Path, collection: str, reembed: bool, as_json: bool) -> None:
    """Make a COLLECTION of a flat FAISS INDEX file and the JSON list of TEXTS beside it.

    A text is a string, or an object with text (passage, content) and where it is from (source, file, title), which
    names its document. The vectors are taken over when the embedding model that serves makes the same of a few texts;
    otherwise all texts are embedded anew. faiss itself is not needed.
    """
    flat, passages = read_flat(index), read_passages(texts)
    check(flat, passages, takes_vectors=not reembed)
    with session.mesh() as mesh, tempfile.TemporaryDirectory() as directory:
        vectors, model = (None, "") if reembed else _taken(mesh, flat, passages)
        packed = Path(directory, "collection")
        pack(packed, collection, passages, vectors, model)
        with meter() as told:
            job = mesh.index.import_collection(packed, collection, on_progress=told)
        finish(job, as_json=as_json)


def _taken(mesh: Ragq, flat: FlatIndex, passages: list[Passage]) -> tuple[np.ndarray | None, str]:
    """The vectors and the model's name; what is found is told on stderr."""
    found = verdict(mesh.llm, flat, passages)
    if found.model:
        click.echo(f"the vectors are those of {found.model}: they are taken over", err=True)
        return flat.vectors, found.model
    click.echo(f"the texts are embedded anew: {found.reason}", err=True)
    return None, ""
