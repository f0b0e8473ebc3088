"""Which query and which documents does a command line name, and what do their files hold?"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import click

from clients.errors import BadRequest

from .options import standard_text

LABEL = re.compile(r"^\s*(query|doc(?:ument)?\s*\d*)\s*:\s*", re.IGNORECASE)
BETWEEN_TEXTS = "|||"
FILE = "file://"


def gathered(query: str, docs: str | None, inputs: Sequence[str]) -> tuple[str, list[str]]:
    """The query and the documents; a usage error when one of the two is missing."""
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
