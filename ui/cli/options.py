"""Which options do several commands share?"""

from __future__ import annotations

import sys
from typing import get_args

import click

from clients.errors import BadRequest
from clients.index import Mode

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
    "--top-k", type=click.IntRange(min=1), default=10, show_default=True, help="How many at most."
)


def standard_input(what: str) -> bytes:
    """All of stdin; BadRequest when it is empty or a keyboard that nobody was asked to use."""
    if sys.stdin.isatty():
        click.echo(f"Type {what}; end with Ctrl-D.", err=True)
    content = sys.stdin.buffer.read()
    if not content.strip():
        raise BadRequest(
            f"no {what} on standard input", help=f"pipe {what} into the command, or give it as an argument"
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
