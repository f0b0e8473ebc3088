"""Which options do several commands share?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, BinaryIO, get_args

import click

from clients.errors import BadRequest
from clients.index import Mode
from clients.trace import Span, traced
from clients.waterfall import waterfall
from clients.within import Within

MAX_HITS = 1000

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
collection_option = click.option("-c", "--collection", required=True, metavar="NAME", help="Name of the collection.")
mode_option = click.option(
    "--mode",
    type=click.Choice(get_args(Mode)),
    default="hybrid",
    show_default=True,
    help="dense compares meanings, keyword compares words, hybrid does both.",
)
top_k_option = click.option(
    "--top-k", type=click.IntRange(1, MAX_HITS), default=10, show_default=True, help="How many at most."
)


def within_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command be limited to some documents; it gets them as ``within``, None for all."""

    @click.option(
        "--in", "documents", multiple=True, metavar="NAME",
        help="Only documents of this name or id; * and ? stand for any characters. Repeatable.",
    )  # fmt: skip
    @click.option(
        "--source", "sources", multiple=True, metavar="URL", help="Only pages of this host, or below this URL."
    )
    @click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Only this ending (pdf) or media type.")
    @wraps(command)
    def with_within(
        *args: Any, documents: tuple[str, ...], sources: tuple[str, ...], kinds: tuple[str, ...], **options: Any
    ) -> None:
        within = Within(list(documents), list(sources), list(kinds))
        command(*args, within=within or None, **options)

    return with_within


def floor_option(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command leave out hits with low scores; it gets the least scores by signal as ``at_least``."""

    @click.option(
        "--at-least", "floors", multiple=True, metavar="SIGNAL=SCORE",
        help="Only hits with this score of dense, keyword or rerank. Repeatable.",
    )  # fmt: skip
    @wraps(command)
    def with_floors(*args: Any, floors: tuple[str, ...], **options: Any) -> None:
        command(*args, at_least=dict(map(_floor, floors)), **options)

    return with_floors


def _floor(text: str) -> tuple[str, float]:
    signal, _, score = text.partition("=")
    try:
        return signal.strip(), float(score)
    except ValueError:
        raise click.UsageError(f"--at-least {text}: a signal and a number are wanted, such as dense=0.8") from None


def trace_option(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command show where its time went; also when it fails."""

    @click.option("--trace", "shows_trace", is_flag=True, help="Show on stderr where the time went.")
    @wraps(command)
    def with_trace(*args: Any, shows_trace: bool, **options: Any) -> None:
        if not shows_trace:
            command(*args, **options)
            return
        spans: list[Span] = []
        try:
            with traced(command.__name__) as trace:
                spans = trace.spans
                command(*args, **options)
        finally:
            click.echo(waterfall(spans), err=True)

    return with_trace


def standard_input(what: str) -> bytes:
    """All of stdin; BadRequest when it is empty or a keyboard that nobody was asked to use."""
    if sys.stdin.isatty():
        click.echo(f"Type {what}; end with Ctrl-D.", err=True)
    content = sys.stdin.buffer.read()
    if not content.strip():
        raise BadRequest(
            f"standard input is empty; it should hold {what}", help="pipe it into the command, or give an argument"
        )
    return content


def standard_text(what: str) -> str:
    """All of stdin as text; BadRequest when it is empty or not UTF-8."""
    try:
        return standard_input(what).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(
            f"standard input is not UTF-8: {error}", help="convert it first, for example with iconv"
        ) from None


@contextmanager
def output_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write a result to; BadRequest when the disk does not take it."""
    try:
        with path.open("wb") as file:
            yield file
    except OSError as error:
        raise BadRequest(
            f"cannot write {path}: {error.strerror or error}", help="its directory has to exist and to be writable"
        ) from None
