"""What do JSON and JSON Lines say: a record is a line in which each value has its name."""

from __future__ import annotations

import json
from collections.abc import Iterator

from .base import Loaded, Unreadable, Writer
from .plain import lines
from .tables import Cell, Tables, escaped

MEDIA_TYPES = {"json": "application/json", "jsonl": "application/x-ndjson", "ndjson": "application/x-ndjson"}
MAX_DEPTH = 40


def records(text: str, ending: str) -> Loaded:
    """The records of a JSON text; one that is not valid is kept line by line as it is.

    Raises:
        Unreadable: it nests more deeply than data does, or has too many values.
    """
    media_type = MEDIA_TYPES[ending]
    try:
        if ending == "json":
            value = json.loads(text)
            entries = value if isinstance(value, list) else [value]
        else:
            entries = [json.loads(line) for line in text.splitlines() if line.strip()]
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError:
        return lines(text, media_type)
    writer = Writer()
    tables = Tables(writer)
    for entry in entries:
        _record(tables, entry, is_alone=len(entries) == 1)
    return Loaded("".join(writer.parts), media_type, is_lines=True)


def _record(tables: Tables, entry: object, *, is_alone: bool) -> None:
    """A record on one line; a text that is a single record has a line for each value."""
    cells = [Cell(f"{name}: {value}" if name else value) for name, value in _values(entry, "", 0) if value]
    if is_alone:
        tables.add({0: cell} for cell in cells)
    else:
        tables.add([dict(enumerate(cells))])


def _values(value: object, name: str, depth: int) -> Iterator[tuple[str, str]]:
    """Names and values of what is nested: ``author.name``."""
    if depth > MAX_DEPTH:
        raise _too_deep()
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _values(inner, f"{name}.{key}" if name else str(key), depth + 1)
    elif isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
        for number, inner in enumerate(value):
            yield from _values(inner, f"{name}[{number}]", depth + 1)
    elif isinstance(value, list):
        yield name, ", ".join(_shown(inner) for inner in value)
    else:
        yield name, _shown(value)


def _shown(value: object) -> str:
    return escaped(value) if isinstance(value, str) else "" if value is None else json.dumps(value)


def _too_deep() -> Unreadable:
    return Unreadable(
        f"the JSON nests its values more than {MAX_DEPTH} levels deep",
        help="export what people ask about as JSON Lines",
    )
