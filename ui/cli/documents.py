"""Which documents does a collection hold, and what became of each?"""

from __future__ import annotations

from collections.abc import Sequence

import click

from clients.index import Document, Documents
from clients.mesh import Ragq

from . import show
from .options import json_option
from .progress import follow, print_failures
from .session import Session

PAGE = 100


@click.group(invoke_without_command=True)
@click.option("-c", "--collection", metavar="NAME", help="Name of the collection.")
@click.option("--failed", is_flag=True, help="Only documents that failed, with reason and fix.")
@click.option("--keyword", default="", help="Only names that contain it.")
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Begin with this one.")
@click.option("--limit", type=click.IntRange(min=1), default=PAGE, show_default=True, help="How many at most.")
@json_option
@click.pass_context
def documents(
    ctx: click.Context, collection: str | None, failed: bool, keyword: str, offset: int, limit: int, as_json: bool
) -> None:
    """List the documents of a collection; delete or retry some."""
    if ctx.invoked_subcommand is not None:
        return
    if not collection:
        raise click.UsageError("give --collection NAME")
    session: Session = ctx.obj
    with session.mesh() as mesh:
        page = mesh.index.documents(
            collection, keyword=keyword, status="failed" if failed else "", offset=offset, limit=limit
        )
    if as_json:
        show.document(page)
    else:
        _print(page, offset)


def _print(page: Documents, offset: int) -> None:
    if page.documents:
        rows = [(d.id, d.status, d.num_chunks, show.size(d.size_bytes), show.moment(d.created_at), d.name, _why(d))
                for d in page.documents]  # fmt: skip
        show.table(("ID", "STATUS", "CHUNKS", "SIZE", "ADDED", "NAME", "REASON"), rows)
    show.note(
        f"{min(offset + 1, page.total)}-{offset + len(page.documents)} of {page.total}"
        if page.documents
        else "no such documents"
    )


def _why(document: Document) -> str:
    return " — ".join(part for part in (document.reason, document.fix) if part)


@documents.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(session: Session, ids: tuple[str, ...], yes: bool) -> None:
    """Delete documents with their chunks and vectors."""
    if not yes:
        click.confirm(f"Delete {len(ids)} document{'s' * (len(ids) > 1)}?", abort=True)
    with session.mesh() as mesh:
        for document_id in ids:
            mesh.index.delete_document(document_id)
            show.note(f"deleted {document_id}")


@documents.command()
@click.argument("ids", nargs=-1, metavar="[ID…]")
@click.option("-c", "--collection", metavar="NAME", help="Retry every failed document of this collection.")
@json_option
@click.pass_obj
def retry(session: Session, ids: tuple[str, ...], collection: str | None, as_json: bool) -> None:
    """Work on failed documents again: some by id, or all of a collection."""
    if bool(ids) == bool(collection):
        raise click.UsageError("give either document IDs or --collection NAME")
    with session.mesh() as mesh:
        jobs = [mesh.index.retry_document(document_id) for document_id in (ids or _failed(mesh, collection or ""))]
        if not jobs:
            show.note(f"nothing failed in {collection}")
            return
        summary = follow(jobs)
    if as_json:
        show.document(summary)
    else:
        print_failures(summary)
        click.echo(f"{summary.num_documents - summary.num_failed} of {summary.num_documents} documents are ready now")
    if summary.failed:
        raise SystemExit(1)


def _failed(mesh: Ragq, collection: str) -> Sequence[str]:
    ids: list[str] = []
    while True:
        page = mesh.index.documents(collection, status="failed", offset=len(ids), limit=PAGE)
        ids += [document.id for document in page.documents]
        if not page.documents or len(ids) >= page.total:
            return ids
