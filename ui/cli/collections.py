"""Which collections are there, and how are they made and deleted?"""

from __future__ import annotations

import click

from . import show
from .options import json_option
from .session import Session


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def collections(ctx: click.Context, as_json: bool) -> None:
    """List collections; make and delete them."""
    if ctx.invoked_subcommand is not None:
        return
    session: Session = ctx.obj
    with session.mesh() as mesh:
        found = mesh.index.collections()
    if as_json:
        show.document(found)
    elif found:
        columns = ("NAME", "DOCUMENTS", "CHUNKS", "FAILED", "MODEL", "CREATED", "TITLE")
        show.table(columns, [(c.name, c.num_documents, c.num_chunks, c.num_failed, c.model or "-",
                              show.moment(c.created_at), c.title) for c in found])  # fmt: skip
    else:
        show.note("no collections yet: ragq add PATH --collection NAME")


@collections.command()
@click.argument("name")
@click.option("--title", default="", help="What people read; any text.")
@json_option
@click.pass_obj
def create(session: Session, name: str, title: str, as_json: bool) -> None:
    """Make an empty collection."""
    with session.mesh() as mesh:
        made = mesh.index.create_collection(name, title)
    if as_json:
        show.document(made)
    else:
        click.echo(made.name)


@collections.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(session: Session, name: str, yes: bool) -> None:
    """Delete a collection with its documents, vectors and originals."""
    if not yes:
        click.confirm(f"Delete '{name}' with all its documents?", abort=True)
    with session.mesh() as mesh:
        mesh.index.delete_collection(name)
    show.note(f"deleted {name}")
