"""Which test sets are kept, what is in them, and how do questions get in and out?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from clients.errors import BadRequest
from clients.testsets import Question, QuestionSet, Relevant
from ui.questionfiles import as_csv, as_jsonl, read_file

from . import show
from .options import json_option
from .outcomes import print_runs
from .session import Session


@click.group()
def testset() -> None:
    """Keep questions with what answers them, to measure a collection by: ragq eval --testset NAME."""


@testset.command("list")
@json_option
@click.pass_obj
def list_(session: Session, as_json: bool) -> None:
    """List the test sets."""
    with session.mesh() as mesh:
        found = mesh.index.testsets()
    if as_json:
        show.document(found)
    elif found:
        rows = [(s.name, s.collection, s.num_questions, s.num_runs, show.moment(s.updated_at)) for s in found]
        show.table(("NAME", "COLLECTION", "QUESTIONS", "RUNS", "CHANGED"), rows)
    else:
        show.note("no test sets yet: ragq testset add NAME QUESTION -c COLLECTION --document NAME")


@testset.command()
@click.argument("name")
@click.argument("question")
@click.option("-c", "--collection", default="", metavar="NAME", help="What it measures; needed for a new set only.")
@click.option("--document", "names", multiple=True, metavar="NAME", help="A document that answers it.")
@click.option("--text", "quote", default="", help="The words in the document that answer it; without, all of it does.")
@click.option("--answer", default="", help="What a good answer says.")
@click.option("--absent", is_flag=True, help="The collection lacks the answer, and that is what should be said.")
@json_option
@click.pass_obj
def add(session: Session, /, name: str, question: str, collection: str, as_json: bool, **given: Any) -> None:
    """Add QUESTION to the test set NAME, which is made if it is not there."""
    one = _question(question, **given)
    with session.mesh() as mesh:
        _told(mesh.index.add_questions(name, [one], collection), as_json=as_json)


def _question(text: str, names: Sequence[str], quote: str, answer: str, absent: bool) -> Question:
    if not names and not absent:
        raise BadRequest("what answers the question?", help="--document NAME, or --absent when nothing does")
    return Question(text, [Relevant(document, quote) for document in names], answer, absent)


@testset.command("import")
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("-c", "--collection", default="", metavar="NAME", help="What it measures; needed for a new set only.")
@json_option
@click.pass_obj
def import_(session: Session, name: str, path: Path, collection: str, as_json: bool) -> None:
    """Add the questions of PATH to the test set NAME.

    PATH is CSV (question, document, text, answer, absent), JSON Lines ({"question": …, "documents": […]}), or a
    directory in BEIR layout, whose document ids are names here.
    """
    questions = read_file(path)
    with session.mesh() as mesh:
        _told(mesh.index.add_questions(name, questions, collection), as_json=as_json)


def _told(made: QuestionSet, *, as_json: bool) -> None:
    if as_json:
        show.document(made)
    else:
        click.echo(f"{made.name}: {made.num_questions} questions for {made.collection}")


@testset.command("show")
@click.argument("name")
@json_option
@click.pass_obj
def show_(session: Session, name: str, as_json: bool) -> None:
    """Show the questions of a test set, and what answers each."""
    with session.mesh() as mesh:
        questions = mesh.index.questions(name)
    if as_json:
        show.document(questions)
        return
    for one in questions:
        click.echo(one.text)
        for each in one.relevant:
            words = f"  {show.snippet(each.text)}" if each.text else ""
            click.echo(f"    {'' if each.grade else 'not '}{each.document}{words}")
        if one.must_abstain:
            click.echo("    no answer in the collection")
        if one.answer:
            click.echo(f"    answer: {show.snippet(one.answer)}")


@testset.command()
@click.argument("name")
@click.option("--question", "texts", multiple=True, metavar="TEXT", help="Only this question.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(session: Session, name: str, texts: tuple[str, ...], yes: bool) -> None:
    """Delete a test set with its runs, or some of its questions."""
    if not texts and not yes:
        click.confirm(f"Delete the test set '{name}' with its runs?", abort=True)
    with session.mesh() as mesh:
        if texts:
            left = mesh.index.delete_questions(name, texts)
            show.note(f"{left.num_questions} questions are left in {name}")
            return
        mesh.index.delete_testset(name)
    show.note(f"deleted {name}")


@testset.command()
@click.argument("name")
@click.option("--csv", "is_csv", is_flag=True, help="CSV instead of JSON Lines; places and grades are left out.")
@click.pass_obj
def export(session: Session, name: str, is_csv: bool) -> None:
    """Print the questions of a test set as ragq testset import reads them."""
    with session.mesh() as mesh:
        questions = mesh.index.questions(name)
    click.echo((as_csv if is_csv else as_jsonl)(questions), nl=False)


@testset.command()
@click.argument("name")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most.")
@json_option
@click.pass_obj
def runs(session: Session, name: str, limit: int, as_json: bool) -> None:
    """List the last runs of ragq eval over a test set, newest first.

    STATE changes with the questions: figures of runs with different ones are not comparable.
    """
    with session.mesh() as mesh:
        found = mesh.index.runs(name)[:limit]
    if as_json:
        show.document(found)
    elif found:
        print_runs(found)
    else:
        show.note(f"no runs yet: ragq eval --testset {name}")
