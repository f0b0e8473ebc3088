"""What do the documents of a collection answer to a question?"""

from __future__ import annotations

import time
from typing import Any

import click

from clients.answers import Answer, Decision, Delta, Event, Rewritten, Round
from clients.index import Hit, Within
from ui.exchanges import Exchange, told, turn_of

from . import show
from .options import collection_option, json_option, trace_option, within_options
from .session import Session

TIMEOUT_S = 120.0


@click.command()
@click.argument("question")
@collection_option
@within_options
@click.option(
    "--answer", type=click.Choice(["auto", "extractive", "written"]), help="Quote sentences, or let the model write."
)
@click.option(
    "--anyway", is_flag=True, help="Answer even where the collection lacks it; the answer is marked as not grounded."
)
@click.option("--chat", metavar="ID", help="Go on with this chat: its rounds are the history, and this one is kept.")
@json_option
@trace_option
@click.pass_obj
def ask(
    session: Session,
    question: str,
    collection: str,
    answer: str | None,
    anyway: bool,
    chat: str | None,
    as_json: bool,
    within: Within | None,
) -> None:
    """Answer a question from a collection, with citations.

    The answer appears as it is made; numbers in brackets are citations, listed below it. When the
    collection lacks the answer, it says so, why, and which passage came closest.
    """
    options: dict[str, Any] = {**({"answer": answer} if answer else {}), **({"anyway": True} if anyway else {})}
    with session.mesh(TIMEOUT_S) as mesh:
        history = [Round(turn.question, turn.answer) for turn in mesh.index.chat(chat)] if chat else []
        exchange = Exchange(question, collection, created_at=time.time())
        for event in mesh.ask(collection, question, history, stream=True, within=within, **options):
            exchange = told(exchange, [event])
            if not as_json:
                _show(event)
        if chat:
            mesh.index.save_turn(turn_of(chat, exchange))
    if as_json:
        show.document(exchange.answer)
    else:
        _print_below(exchange)


def _show(event: Event) -> None:
    match event:
        case Rewritten(query):
            show.note(f"searching for: {query}")
        case Delta(text):
            click.echo(text, nl=False)


def _print_below(exchange: Exchange) -> None:
    answer = exchange.answer
    assert answer is not None, "the last event of ask is its Answer"
    click.echo()
    _print_citations(answer)
    if answer.decision.route == "absent":
        _print_absence(answer.decision, exchange.hits)
    for text in dict.fromkeys(answer.notes):
        show.note(text)


def _print_citations(answer: Answer) -> None:
    if answer.citations:
        click.echo()
    for citation in answer.citations:
        click.echo(f"[{citation.marker}] {show.place(citation.document, citation.page, citation.heading)}")
        if citation.source:
            click.echo(f"    {citation.source}")
        click.echo(f"    “{show.snippet(citation.quote or citation.text)}”")


def _print_absence(decision: Decision, hits: list[Hit]) -> None:
    kind = "fitted to this collection" if decision.calibrated else "uncalibrated: ragq calibrate fits it"
    click.echo(f"\nWhy: {decision.reason}")
    click.echo(f"p {decision.confidence:.2f}, t_low {decision.t_low:.2f}, t_high {decision.threshold:.2f} ({kind})")
    if hits:
        click.echo(f"Closest passage: {show.place(hits[0].document, hits[0].page, hits[0].heading)}")
        click.echo(f"    “{show.snippet(hits[0].text)}”")
