"""What does a JSON file of a model say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from clients.errors import BadRequest


def read_map(path: Path) -> Mapping[str, object]:
    """The map in a file; BadRequest, naming it, when there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadRequest(f"{path} is not readable JSON: {error}") from error
    if not isinstance(value, Mapping):
        raise BadRequest(f"{path} should hold a map")
    return value


def read_map_if_there(path: Path) -> Mapping[str, object]:
    """The map in a file, empty when there is no such file."""
    return read_map(path) if path.is_file() else {}
