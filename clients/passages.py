"""Which texts lie beside a FAISS index: a JSON list of texts, or of passages with where they are from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from .documents import content_of
from .errors import BadRequest

# What older pipelines call a passage's text, and where it is from.
TEXTS = ("text", "passage", "content", "page_content", "chunk")
SOURCES = ("source", "file", "path", "document", "title", "url")
LISTS = ("passages", "texts", "chunks", "documents", "data")


@dataclass(frozen=True, slots=True)
class Passage:
    """A text with the name of its document; empty where it is not told."""

    text: str
    source: str = ""
    heading: str = ""
    page: int = 0


def read_passages(path: Path) -> list[Passage]:
    """The texts of a file, in the order of the vectors.

    Raises:
        BadRequest: it cannot be read, or is no list of texts.
    """
    if path.suffix == ".npy":
        raise BadRequest(
            f"{path.name} may hold Python objects, which run when they are read",
            help="where you trust the file: python -c \"import json, numpy; json.dump(numpy.load('texts.npy', "
            "allow_pickle=True).tolist(), open('texts.json', 'w'))\"",
        )
    try:
        given = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise BadRequest(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{path.name} is no JSON: {error}") from error
    if isinstance(given, dict):
        given = next((given[name] for name in LISTS if isinstance(given.get(name), list)), given)
    if not isinstance(given, list):
        raise BadRequest(
            f"{path.name} is no list of texts", help=f"a list, or an object with one of {', '.join(LISTS)}"
        )
    return [_passage(item, f"{path.name}, item {number}") for number, item in enumerate(given)]


def _passage(item: object, place: str) -> Passage:
    if isinstance(item, str):
        return Passage(item)
    if not isinstance(item, dict):
        raise BadRequest(f"{place} is no text and no passage")
    text = _first(item, TEXTS)
    if text is None:
        raise BadRequest(f"{place} has no text", help=f"its text is looked for in {', '.join(TEXTS)}")
    more = item.get("metadata")
    return Passage(text, _first(item, SOURCES) or (_first(more, SOURCES) if isinstance(more, dict) else None) or "")


def _first(item: Mapping[object, object], names: tuple[str, ...]) -> str | None:
    return next((value for name in names if isinstance(value := item.get(name), str)), None)


def write_passages(path: Path, passages: list[Passage], *, texts_only: bool) -> None:
    """Write passages as JSON: objects with ``text``, ``source``, ``heading`` and ``page``, or a list of texts.

    A text in the list has its headings above it, as it was embedded.
    """
    given: list[object] = [
        content_of(passage.text, passage.heading) if texts_only else asdict(passage) for passage in passages
    ]
    path.write_text(json.dumps(given, ensure_ascii=False, indent=1) + "\n", "utf-8")
