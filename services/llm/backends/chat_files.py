"""What do the files beside a tokenizer say of conversations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clients.errors import BadRequest

TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token")


class ChatFiles:
    """``tokenizer_config.json`` and ``chat_template.jinja`` of a model; either may be missing.

    Args:
        directory: of the model.

    Attributes:
        template: the default chat template, or empty.
        special_tokens: ``bos_token`` and the like, as far as they are named.

    Raises:
        BadRequest: a file cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        settings = _settings(directory / "tokenizer_config.json")
        self.template = _template(directory / "chat_template.jinja", settings)
        self.special_tokens = {name: _text(settings[name]) for name in TOKENS if settings.get(name)}


def _settings(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadRequest(f"{path} is not readable JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadRequest(f"{path} should hold a map")
    return found


def _template(path: Path, settings: Mapping[str, Any]) -> str:
    """Older checkpoints keep it, or a list of named ones, in the settings."""
    if path.is_file():
        return path.read_text(encoding="utf-8")
    found = settings.get("chat_template") or ""
    if isinstance(found, list):
        found = {entry["name"]: entry["template"] for entry in found}.get("default", "")
    return str(found)


def _text(token: object) -> str:
    """A token is written as a text, or as a map with its ``content``."""
    return str(token["content"] if isinstance(token, dict) else token)
