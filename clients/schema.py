"""Which keys are there, of which type, with which default: read off the dataclasses of config.py."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator
from dataclasses import asdict, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

from .config import Config
from .reading import nearest

SECRET = re.compile(r"(^|_)(key|token|password|secret)s?$")
_JSON_TYPES: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


@cache
def hints(cls: type) -> dict[str, Any]:
    """The annotations of a dataclass, resolved."""
    return typing.get_type_hints(cls)


def hint_of(path: tuple[str, ...]) -> Any:
    """The annotation of a key.

    Raises:
        KeyError: no such key; the argument says which part and what is near: "'llm.num_worker'. Did you mean ...?".
    """
    hint: Any = Config
    for depth, name in enumerate(path):
        inner = _below(hint)
        if inner is None or (isinstance(inner, dict) and name not in inner):
            raise KeyError(f"'{'.'.join(path[: depth + 1])}'. {_advice(path[:depth], name, inner)}")
        hint = inner[name] if isinstance(inner, dict) else inner
    return hint


def _below(hint: Any) -> Any:
    """What a key's children may be: a dict of names, one annotation for any name, or None for a plain value."""
    if is_dataclass(hint) and isinstance(hint, type):
        return hints(hint)
    if get_origin(hint) is dict:
        return get_args(hint)[1]
    return object if hint is object else None


def _advice(section: tuple[str, ...], name: str, known: dict[str, Any] | None) -> str:
    if not known:
        return f"'{'.'.join(section)}' is a single value"
    if close := get_close_matches(name, known, n=1, cutoff=0.6):
        return f"Did you mean '{'.'.join((*section, close[0]))}'?"
    elsewhere = [key for key, _ in defaults() if key.split(".")[-1] == name]
    if elsewhere:
        return f"Did you mean '{elsewhere[0]}'?"
    return nearest(name, known).capitalize()


def defaults(config: Config | None = None) -> list[tuple[str, object]]:
    """Every dotted key with its value in ``config``, or its default; empty mappings count as values."""
    return list(_leaves(asdict(config or Config()), ()))


def _leaves(value: object, path: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _leaves(item, (*path, str(name)))
    else:
        yield ".".join(path), value


def masked(key: str, value: object) -> object:
    """A value as it may be shown: the text of keys, tokens, passwords and secrets is not."""
    return "***" if isinstance(value, str) and value and SECRET.search(key.rsplit(".", maxsplit=1)[-1]) else value


def config_schema() -> dict[str, object]:
    """JSON schema (draft 2020-12) of ragq.yml, for editors that check and complete."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ragq.yml",
        **_object(Config, asdict(Config())),
    }


def _object(cls: type, default: dict[str, Any] | None) -> dict[str, object]:
    words = attributes(cls)
    properties = {}
    for field in fields(cls):
        entry = _entry(hints(cls)[field.name], None if default is None else default[field.name])
        properties[field.name] = {**entry, **({"description": words[field.name]} if field.name in words else {})}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _entry(hint: Any, default: Any) -> dict[str, object]:
    origin, args = get_origin(hint), get_args(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        return _object(hint, default)
    if origin is dict:
        return {"type": "object", "additionalProperties": _entry(args[1], None)}
    kind = _list(args) if origin is list else _scalar(hint, origin, args)
    return kind if default is None else {**kind, "default": default}


def _list(args: tuple[Any, ...]) -> dict[str, object]:
    return {"type": "array", "items": _entry(args[0], None)}


def _scalar(hint: Any, origin: Any, args: tuple[Any, ...]) -> dict[str, object]:
    if origin is Literal:
        return {"enum": list(args)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_entry(arg, None) for arg in args]}
    return {"type": _JSON_TYPES[hint]} if hint in _JSON_TYPES else {}


def attributes(cls: type) -> dict[str, str]:
    """What the Attributes section of a class and its bases says, by field."""
    words: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        _, _, section = (base.__doc__ or "").partition("Attributes:\n")
        for names, text in re.findall(r"^ {8}([\w, ]+): (.*(?:\n {12}.*)*)", section, re.MULTILINE):
            words.update(dict.fromkeys(names.split(", "), re.sub(r"\s+", " ", text)))
    return words
