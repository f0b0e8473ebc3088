"""Which of some documents fit a query best?"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import click

from clients.errors import BadRequest

from . import show
from .options import json_option, output_file, standard_text, trace_option
from .session import Session

LABEL = re.compile(r"^\s*(query|doc(?:ument)?\s*\d*)\s*:\s*", re.IGNORECASE)
BETWEEN_TEXTS = "|||"
FILE = "file://"


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
@click.option("--top-k", type=click.IntRange(min=1), help="How many at most; all of them otherwise.")
@click.option("--model", default="", help="Name of a loaded model; the service's own otherwise.")
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
    query: str,
    docs: str | None,
    inputs: tuple[str, ...],
    top_k: int | None,
    model: str,
    output: Path | None,
    as_json: bool,
) -> None:
    """Score documents against a query; best first."""
    wanted, documents = _gather(query, docs, inputs)
    with session.mesh() as mesh:
        ranked = mesh.llm.rerank(wanted, documents, top_k, model=model)
    if output:
        with output_file(output) as file:
            file.write((json.dumps(show.plain(ranked), ensure_ascii=False, indent=2) + "\n").encode())
    if as_json:
        show.document(ranked)
    elif not output:
        rows = [
            (i, f"{r.score:.4f}", f"{r.logit:+.3f}", r.index, show.snippet(r.text, 100))
            for i, r in enumerate(ranked, 1)
        ]
        show.table(("RANK", "SCORE", "LOGIT", "INDEX", "TEXT"), rows)


def _gather(query: str, docs: str | None, inputs: Sequence[str]) -> tuple[str, list[str]]:
    wanted = _query_text(query)
    documents = read_documents(docs) if docs else []
    for text in inputs:
        label, value = split_label(text)
        if label == "query" or (not label and not wanted):
            wanted = _query_text(value)
        else:
            documents += _document_texts(value, labelled=bool(label))
    if not wanted:
        raise click.UsageError('give a query: --query Q, or -i "query: …"')
    if not documents:
        raise click.UsageError('give documents: --docs FILE, or -i "doc1: …"')
    return wanted, documents


def split_label(text: str) -> tuple[str, str]:
    """``query: x`` as (``query``, x), ``doc1: x`` as (``doc``, x), anything else with an empty label."""
    found = LABEL.match(text)
    if not found:
        return "", text
    return "query" if found[1].lower() == "query" else "doc", text[found.end() :]


def _query_text(value: str) -> str:
    return _read(value.removeprefix(FILE)).strip() if value.startswith(FILE) else value.strip()


def _document_texts(value: str, *, labelled: bool) -> list[str]:
    if value.startswith(FILE):
        return parse_documents(_read(value.removeprefix(FILE)), value)
    if labelled:
        return [value]
    if len(value) < 4096 and "\n" not in value and Path(value).is_file():
        return read_documents(value)
    return [part.strip() for part in value.split(BETWEEN_TEXTS)]


def read_documents(source: str) -> list[str]:
    """Documents from a file, or from stdin for ``-``."""
    if source == "-":
        return parse_documents(standard_text("documents, one on a line"), "standard input")
    return parse_documents(_read(source.removeprefix(FILE)), source)


def parse_documents(content: str, source: str) -> list[str]:
    """A JSON list of texts or of ``{"text": …}``, or else one document on each non-empty line.

    Raises:
        BadRequest: JSON that is not such a list.
    """
    if not content.lstrip().startswith("["):
        return [line.strip() for line in content.splitlines() if line.strip()]
    try:
        items = json.loads(content)
    except ValueError as error:
        if source.endswith(".json"):
            raise BadRequest(f"{source}: not JSON: {error}") from None
        return [line.strip() for line in content.splitlines() if line.strip()]
    return [_document_text(item, source) for item in items]


def _document_text(item: object, source: str) -> str:
    text = item.get("text") if isinstance(item, dict) else item
    if not isinstance(text, str):
        raise BadRequest(f"{source}: expected a JSON list of texts, or of objects with 'text'")
    return text


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadRequest(
            f"cannot read {path}: {error.strerror or error}", help="paths are on this machine; check its permissions"
        ) from None
    except UnicodeDecodeError as error:
        raise BadRequest(f"{path} is not UTF-8: {error}", help="convert it first, for example with iconv") from None
