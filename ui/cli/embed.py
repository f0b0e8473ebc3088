"""Which vectors stand for some texts?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from . import show
from .options import json_option, output_file, standard_text, trace_option
from .session import Session

NUM_SHOWN = 6


@click.command()
@click.argument("texts", nargs=-1, metavar="[TEXT…]")
@click.option(
    "--role",
    type=click.Choice(["document", "query"]),
    default="document",
    show_default=True,
    help="Questions are embedded as query.",
)
@click.option("--model", default="", help="Name of a loaded model; the service's own otherwise.")
@click.option("--instruction", default="", help="What queries are told to be, for models that take one.")
@click.option(
    "--dimension",
    type=click.IntRange(min=0),
    default=0,
    help="Cut the vectors to so many numbers, for models that were trained for it; 0 is all.",
)
@click.option(
    "--npy",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a float32 array [n, dim] for numpy.load.",
)
@json_option
@trace_option
@click.pass_obj
def embed(session: Session, /, texts: tuple[str, ...], npy: Path | None, as_json: bool, **how: Any) -> None:
    """Embed texts: the arguments, or the lines of standard input."""
    given = list(texts) or [line for line in standard_text("texts, one on a line").splitlines() if line.strip()]
    with session.mesh() as mesh:
        vectors = mesh.llm.embed(given, **how)
    if npy:
        _save(npy, vectors)
    if as_json:
        show.document(vectors)
    elif not npy:
        _print(given, vectors)


def _save(path: Path, vectors: np.ndarray) -> None:
    with output_file(path) as file:
        np.save(file, vectors)
    show.note(f"{vectors.shape[0]} x {vectors.shape[1]} float32 in {path}")


def _print(texts: list[str], vectors: np.ndarray) -> None:
    for text, row in zip(texts, vectors, strict=True):
        first = " ".join(f"{value:+.4f}" for value in row[:NUM_SHOWN])
        click.echo(f"{len(row)}  [{first} …]  {show.snippet(text, 60)}")
