"""Where did the time of one traced request go, as the logs of this data directory tell it?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click

from clients.errors import BadRequest, NotFound
from clients.reading import read
from clients.trace import Span
from clients.waterfall import waterfall
from services.launching.cli import Session
from services.launching.home import Home
from services.processes import logs as journal


@click.command()
@click.argument("trace_id", metavar="ID")
@click.pass_obj
def trace(session: Session, trace_id: str) -> None:
    """Show where the time of one HTTP request went, by the trace id of its traceparent header.

    Commands have an option of their own for it: ragq ask --trace.
    """
    wanted = trace_id.split("-")[1] if trace_id.count("-") == 3 else trace_id.lower()
    folder = Home(session.config().home).logs
    spans = [span for path in journal.all_files(folder) for span in _spans(path, f"span {wanted} ")]
    if not spans:
        raise NotFound(
            f"no request with trace id '{wanted}' is in the logs",
            help="send the header 'traceparent: 00-<32 hex>-<16 hex>-01' with a request to the HTTP face",
        )
    click.echo(waterfall(spans))


def _spans(path: Path, mark: str) -> Iterator[Span]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if mark in line:
                with suppress(ValueError, KeyError, BadRequest):  # a line that somebody else wrote with these words
                    yield _span(journal.parse(line.rstrip("\n"), path.stem).text.removeprefix(mark))


def _span(text: str) -> Span:
    fields = json.loads(text)
    return read(Span, {**fields, "id": bytes.fromhex(fields["id"]), "parent": bytes.fromhex(fields["parent"])})
