"""Which of the arguments are web pages, and which results of a web search are wanted?"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from clients.errors import BadRequest
from clients.mesh import Ragq
from clients.web import WebResult

from . import show

SCHEMES = ("http://", "https://")


def parted(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The paths and the URLs among arguments."""
    urls = [argument for argument in arguments if argument.lower().startswith(SCHEMES)]
    return [argument for argument in arguments if argument not in urls], urls


def found(mesh: Ragq, query: str, count: int, *, agreed: bool) -> list[str]:
    """The URLs of a web search, after they were listed and somebody agreed.

    Raises:
        BadRequest: nothing was found, or nobody is there to agree.
    """
    results = mesh.index.web_search(query, count)
    if not results:
        raise BadRequest(f"the web search found nothing for {query!r}", help="try other words")
    _list(results)
    if not agreed and not sys.stdin.isatty():
        raise BadRequest("nothing was added: nobody is at the keyboard to agree", help="--yes adds what was found")
    if not agreed:
        click.confirm("Add these pages?", abort=True, err=True)
    return [result.url for result in results]


def _list(results: Sequence[WebResult]) -> None:
    for number, result in enumerate(results, 1):
        show.note(f"{number:>2}. {result.title}\n    {result.url}\n    {show.snippet(result.text)}")
