"""What was a document cut into, and how does a person change it?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from clients.index import Chunk
from clients.mesh import Ragq

from . import show
from .options import json_option, standard_text
from .progress import follow
from .session import Session

PAGE = 100
SNIPPET = 90


@click.group()
def chunks() -> None:
    """List the chunks of a document, and change them; the next search finds the change."""


@chunks.command("list")
@click.argument("document", metavar="DOCUMENT")
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Begin with this one.")
@click.option("--limit", type=click.IntRange(min=1), default=PAGE, show_default=True, help="How many at most.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the whole texts of all chunks to a file.",
)
@json_option
@click.pass_obj
def list_chunks(session: Session, document: str, offset: int, limit: int, output: Path | None, as_json: bool) -> None:
    """List the chunks of a DOCUMENT, by its id."""
    with session.mesh() as mesh:
        page = mesh.index.chunks(document, offset=offset, limit=limit)
        whole = _all(mesh, document) if output else []
    if output:
        output.write_text("\n\n".join(f"# {c.position}  {_state(c)}\n{c.text}" for c in whole) + "\n", "utf-8")
        show.note(f"{len(whole)} chunks in {output}")
    if as_json:
        show.document(page)
    elif not output:
        _print(page.chunks)
        show.note(f"{len(page.chunks)} of {page.total} chunks")


def _all(mesh: Ragq, document: str) -> Sequence[Chunk]:
    found: list[Chunk] = []
    while page := mesh.index.chunks(document, offset=len(found), limit=PAGE).chunks:
        found += page
    return found


@chunks.command()
@click.argument("chunk", metavar="ID")
@click.argument("text", metavar="TEXT|-")
@json_option
@click.pass_obj
def edit(session: Session, chunk: str, text: str, as_json: bool) -> None:
    """Give a chunk another TEXT; - reads standard input."""
    new = standard_text("the chunk's text") if text == "-" else text
    with session.mesh() as mesh:
        _changed([mesh.index.edit_chunk(chunk, new)], as_json=as_json)


@chunks.command()
@click.argument("chunk", metavar="ID")
@json_option
@click.pass_obj
def merge(session: Session, chunk: str, as_json: bool) -> None:
    """Let a chunk take in the one after it."""
    with session.mesh() as mesh:
        _changed([mesh.index.merge_chunks(chunk)], as_json=as_json)


@chunks.command()
@click.argument("chunk", metavar="ID")
@click.option("--at", type=click.IntRange(min=1), help="The second part begins at this character, counted from 0.")
@click.option("--before", default="", metavar="WORDS", help="The second part begins with these words.")
@json_option
@click.pass_obj
def split(session: Session, chunk: str, at: int | None, before: str, as_json: bool) -> None:
    """Cut a chunk in two."""
    if (at is None) == (not before):
        raise click.UsageError("give either --at or --before")
    with session.mesh() as mesh:
        place = at if at is not None else mesh.index.passage(chunk, 0).chunk.text.find(before)
        if place < 1:
            raise click.UsageError(f"the chunk does not go on with {before!r}")
        _changed(mesh.index.split_chunk(chunk, place), as_json=as_json)


@chunks.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
@json_option
@click.pass_obj
def off(session: Session, ids: tuple[str, ...], as_json: bool) -> None:
    """Let searches find chunks of a document no more."""
    with session.mesh() as mesh:
        _changed(mesh.index.switch_chunks(ids, is_enabled=False), as_json=as_json)


@chunks.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
@json_option
@click.pass_obj
def on(session: Session, ids: tuple[str, ...], as_json: bool) -> None:
    """Let searches find chunks of a document again."""
    with session.mesh() as mesh:
        _changed(mesh.index.switch_chunks(ids, is_enabled=True), as_json=as_json)


@chunks.command()
@click.argument("chunk", metavar="ID")
@json_option
@click.pass_obj
def revert(session: Session, chunk: str, as_json: bool) -> None:
    """Give an edited chunk the text that it was cut with."""
    with session.mesh() as mesh:
        _changed([mesh.index.revert_chunk(chunk)], as_json=as_json)


@chunks.command()
@click.argument("document", metavar="DOCUMENT")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def recut(session: Session, document: str, yes: bool) -> None:
    """Cut a DOCUMENT anew from its original; every change by hand is taken back."""
    if not yes:
        click.confirm("Take back every change of this document's chunks?", abort=True)
    with session.mesh() as mesh:
        summary = follow([mesh.index.job(mesh.index.recut_document(document).id)])
    if summary.failed:
        raise SystemExit(1)


def _changed(chunks_now: Sequence[Chunk], *, as_json: bool) -> None:
    if as_json:
        show.document(chunks_now)
    else:
        _print(chunks_now)


def _print(found: Sequence[Chunk]) -> None:
    if found:
        rows = [(c.id, c.position, c.page or "", _state(c), show.snippet(c.text, SNIPPET)) for c in found]
        show.table(("ID", "POSITION", "PAGE", "STATE", "TEXT"), rows)


def _state(chunk: Chunk) -> str:
    return ", ".join(word for word, holds in (("off", not chunk.is_enabled), ("edited", chunk.is_edited)) if holds)
