"""Which passages does a search find, with which scores?"""

from __future__ import annotations

from typing import Any

import click

from clients.index import Hit, Hits

from . import show
from .options import (
    collection_option,
    floor_option,
    json_option,
    mode_option,
    top_k_option,
    trace_option,
    within_options,
)
from .session import Session


@click.command()
@click.argument("query")
@collection_option
@within_options
@floor_option
@mode_option
@click.option("--rerank/--no-rerank", default=True, show_default=True, help="Score the first candidates again.")
@top_k_option
@click.option(
    "--copies", type=click.IntRange(1, 100), default=1, show_default=True, help="Chunks of equal text to show."
)
@json_option
@trace_option
@click.pass_obj
def search(session: Session, /, query: str, collection: str, as_json: bool, **options: Any) -> None:
    """Find passages of a collection; best first. A text that many chunks have is one find."""
    with session.mesh() as mesh:
        found = mesh.index.find(collection, query, **options)
    if as_json:
        show.document(found)
    else:
        _print(found)


def _print(found: Hits) -> None:
    for rank, hit in enumerate(found.hits, 1):
        where = show.place(hit.document, hit.page, hit.heading)
        click.echo(f"{rank:>2}. {hit.score:.4f} {hit.score_kind}  {where}{_signals(hit)}")
        click.echo(f"    {show.snippet(hit.text)}")
        if hit.source:
            click.echo(f"    {hit.source}")
    if not found.hits:
        click.echo("nothing found")
    for text in found.notes:
        show.note(text)
    show.note("  ".join(f"{stage} {seconds * 1000:.0f} ms" for stage, seconds in found.timings.items()))


def _signals(hit: Hit) -> str:
    signals = [
        f"{name} {score:.3f}" + (f" #{hit.ranks[name]}" if name in hit.ranks else "")
        for name, score in hit.scores.items()
    ]
    told = f"  ({', '.join(signals)})" if signals else ""
    return told if hit.num_copies == 1 else f"{told}  in {hit.num_copies} chunks"
