"""Is a JSON schema one that an answer can be held to.

A runtime may learn only while it writes that it cannot use a schema, and take other answers down with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from clients.errors import BadRequest

MAX_CHARS = 64_000
TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})


def check_schema(schema: str) -> None:
    """BadRequest for what is no JSON object, for unknown types, and for references that lead nowhere."""
    if len(schema) > MAX_CHARS:
        raise BadRequest(f"json_schema has {len(schema)} characters; allowed are {MAX_CHARS}")
    try:
        whole = json.loads(schema)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"json_schema is not JSON: {error}") from None
    if not isinstance(whole, dict):
        raise BadRequest("json_schema is not a JSON object")
    for part in _parts(whole):
        kinds = part.get("type", [])
        for kind in [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []:
            if kind not in TYPES:
                raise BadRequest(f"json_schema: '{kind}' is not a type", help=f"types: {', '.join(sorted(TYPES))}")
        if isinstance(part.get("$ref"), str):
            referred(whole, part["$ref"])


def referred(whole: object, path: str) -> object:
    """The part of a schema that a ``$ref`` names; BadRequest when there is none."""
    place = whole
    for name in path.removeprefix("#").split("/")[1:]:
        if not isinstance(place, Mapping) or name not in place:
            raise BadRequest(f"json_schema: '{path}' is not in it")
        place = place[name]
    return place


def _parts(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Every object below a schema; what lies in ``enum``, ``const`` and the like is data, not schema."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            yield part
            waiting += [value for name, value in part.items() if name not in ("enum", "const", "default", "examples")]
        elif isinstance(part, list):
            waiting += part
