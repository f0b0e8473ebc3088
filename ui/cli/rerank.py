"""Which of some documents fit a query best?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from clients.llm import Ranked

from . import show
from .comparing import Compared, compared, lesson
from .given import gathered
from .options import json_option, output_file, trace_option
from .session import Session

SNIPPET_CHARS = 100


@click.command()
@click.option("--query", "query", default="", metavar="Q", help="What to look for; file://PATH reads it from a file.")
@click.option("--docs", metavar="FILE|-", help='Documents: one on a line, or a JSON list of texts or of {"text": …}.')
@click.option(
    "-i",
    "--input",
    "inputs",
    multiple=True,
    metavar="TEXT",
    help='"query: …" or "doc1: …"; file://PATH reads a file. May be repeated.',
)
@click.option(
    "--top-k", "--top-n", "top_k", type=click.IntRange(min=1), help="How many at most; all of them otherwise."
)
@click.option("-m", "--model", default="", help="Name of a loaded model; the service's own otherwise.")
@click.option("--instruction", default="", help="What makes a document fit, for models that take one.")
@click.option(
    "--return-documents/--no-documents", "has_texts", default=True, help="Show the documents' texts, or only numbers."
)
@click.option(
    "--compare", "compares", is_flag=True, help="Show the embedding model's similarity beside the reranker's score."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the JSON document to a file.",
)
@json_option
@trace_option
@click.pass_obj
def rerank(
    session: Session,
    /,
    query: str,
    docs: str | None,
    inputs: tuple[str, ...],
    output: Path | None,
    as_json: bool,
    **how: Any,
) -> None:
    """Score documents against a query; best first."""
    wanted, documents = gathered(query, docs, inputs)
    has_texts, compares = how.pop("has_texts"), how.pop("compares")
    with session.mesh() as mesh:
        found: Sequence[Compared | Ranked] = (
            compared(mesh.llm, wanted, documents, **how) if compares else mesh.llm.rerank(wanted, documents, **how)
        )
    rows = [{name: value for name, value in asdict(r).items() if has_texts or name != "text"} for r in found]
    if output:
        with output_file(output) as file:
            file.write((json.dumps(rows, ensure_ascii=False, indent=2) + "\n").encode())
    if as_json:
        show.document(rows)
    elif not output:
        _print(found, has_texts=has_texts)


def _print(found: Sequence[Compared | Ranked], *, has_texts: bool) -> None:
    names = ("RANK", *(head for head, _ in _cells(found[0])), *(["TEXT"] if has_texts else []))
    rows = [
        (i, *(cell for _, cell in _cells(r)), *([show.snippet(r.text, SNIPPET_CHARS)] if has_texts else []))
        for i, r in enumerate(found, 1)
    ]
    show.table(names, rows)
    if pairs := [result for result in found if isinstance(result, Compared)]:
        click.echo(f"\n{lesson(pairs)}")


def _cells(result: Compared | Ranked) -> list[tuple[str, object]]:
    """Heads and figures of a row."""
    logit = ("LOGIT", f"{result.logit:+.3f}")
    score = ("EXPIT" if result.kind == "probability" else "SCORE", f"{result.score:.4f}")
    if isinstance(result, Compared):
        return [("BI-ENCODER", f"{result.similarity:+.4f}"), logit, score, ("INDEX", result.index)]
    return [("SCORE", score[1]), logit, ("INDEX", result.index)]
