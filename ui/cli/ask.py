"""What do the documents of a collection answer to a question?"""

from __future__ import annotations

import time
from typing import Any

import click

from clients.answers import Answer, Decision, Delta, Event, Rewritten, Round, Sources
from clients.index import Turn
from clients.mesh import Ragq

from . import show
from .options import collection_option, json_option
from .session import Session

TIMEOUT_S = 120.0


@click.command()
@click.argument("question")
@collection_option
@click.option(
    "--answer", type=click.Choice(["auto", "extractive", "written"]), help="Quote sentences, or let the model write."
)
@click.option("--chat", metavar="ID", help="Go on with this chat: its rounds are the history, and this one is kept.")
@json_option
@click.pass_obj
def ask(session: Session, question: str, collection: str, answer: str | None, chat: str | None, as_json: bool) -> None:
    """Answer a question from a collection, with citations.

    The answer appears as it is made; numbers in brackets are citations, listed below it. When the
    collection lacks the answer, it says so, why, and which passage came closest.
    """
    options: dict[str, Any] = {"answer": answer} if answer else {}
    with session.mesh(TIMEOUT_S) as mesh:
        history = [Round(turn.question, turn.answer) for turn in mesh.index.chat(chat)] if chat else []
        screen = _Screen(quiet=as_json)
        for event in mesh.ask(collection, question, history, stream=True, **options):
            screen.show(event)
        finished = screen.finish()
        if as_json:
            show.document(finished)
        if chat:
            _keep(mesh, chat, collection, finished)


class _Screen:
    """Writes the events of an answer as they come; a quiet one only keeps them."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._sources = Sources([])
        self._answer: Answer | None = None

    def show(self, event: Event) -> None:
        match event:
            case Sources():
                self._sources = event
            case Answer():
                self._answer = event
            case Rewritten(query) if not self._quiet:
                show.note(f"searching for: {query}")
            case Delta(text) if not self._quiet:
                click.echo(text, nl=False)

    def finish(self) -> Answer:
        """The answer; what stands below it is printed."""
        assert self._answer is not None, "the last event of ask is its Answer"
        if not self._quiet:
            self._print_below(self._answer)
        return self._answer

    def _print_below(self, answer: Answer) -> None:
        click.echo()
        _print_citations(answer)
        if answer.decision.route == "absent":
            _print_absence(answer.decision, self._sources)
        for text in dict.fromkeys([*self._sources.notes, *answer.notes]):
            show.note(text)


def _print_citations(answer: Answer) -> None:
    if answer.citations:
        click.echo()
    for citation in answer.citations:
        click.echo(f"[{citation.marker}] {show.place(citation.document, citation.page, citation.heading)}")
        click.echo(f"    “{show.snippet(citation.quote or citation.text)}”")


def _print_absence(decision: Decision, sources: Sources) -> None:
    click.echo(f"\nWhy: {decision.reason}")
    if sources.hits:
        closest = sources.hits[0]
        click.echo(f"Closest passage: {show.place(closest.document, closest.page, closest.heading)}")
        click.echo(f"    “{show.snippet(closest.text)}”")


def _keep(mesh: Ragq, chat_id: str, collection: str, answer: Answer) -> None:
    detail = show.plain(answer)
    assert isinstance(detail, dict)
    mesh.index.save_turn(Turn(chat_id, answer.question, answer.text, collection, time.time(), detail))
