"""How does a mapping from outside become one of our dataclasses, strictly."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin

import numpy as np

from .errors import BadRequest

T = TypeVar("T")


def read(cls: type[T], mapping: object, path: str = "") -> T:
    """Build ``cls`` from ``mapping``; refuse unknown, missing and wrongly typed fields.

    Args:
        cls: a dataclass; its annotations are the schema.
        mapping: what msgpack or YAML gave.
        path: where the mapping stands, for messages: ``llm.front_end``.

    Raises:
        BadRequest: names the field by its path, and the nearest known field for a typo.
    """
    if not isinstance(mapping, Mapping):
        raise BadRequest(f"{path or cls.__name__}: expected a mapping, got {_kind(mapping)}")
    known = _schema(cls)  # type: ignore[arg-type]  # a class is hashable; the checker sees its instances' __hash__
    for key in mapping:
        if key not in known:
            raise BadRequest(f"unknown key '{_join(path, str(key))}'", help=nearest(str(key), known))
    return cls(
        **{
            name: _field(mapping, entry, _join(path, name))
            for name, entry in known.items()
            if _given(mapping, name, entry[0], path)
        }
    )


def nearest(word: str, known: typing.Iterable[str]) -> str:
    """A hint for a mistyped word: the nearest known one, or all of them."""
    known = sorted(known)
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(known)}"


@cache
def _schema(cls: type) -> dict[str, tuple[Field[Any], Any]]:
    hints = typing.get_type_hints(cls)
    return {f.name: (f, hints[f.name]) for f in fields(cls) if f.init}


def _given(mapping: Mapping[str, object], name: str, field: Field[Any], path: str) -> bool:
    if name in mapping:
        return True
    if field.default is MISSING and field.default_factory is MISSING:
        raise BadRequest(f"missing key '{_join(path, name)}'")
    return False


def _field(mapping: Mapping[str, object], entry: tuple[Field[Any], Any], path: str) -> object:
    return convert(entry[1], mapping[entry[0].name], path)


def convert(hint: Any, value: object, path: str) -> object:
    """``value`` as the annotation ``hint`` wants it, or BadRequest with ``path``."""
    if hint in (Any, object):
        return value
    origin = get_origin(hint)
    reader = _CONTAINERS.get(origin)
    if reader is not None:
        return reader(get_args(hint), value, path)
    target = origin or hint
    if is_dataclass(target) and isinstance(target, type):
        return value if isinstance(value, target) else read(target, value, path)
    return _scalar(target, value, path)


def _scalar(target: Any, value: object, path: str) -> object:
    target = types.NoneType if target is None else target
    if target is float and isinstance(value, int) and not isinstance(value, bool):
        return _float(value, path)
    wrong_bool = isinstance(value, bool) and target is not bool
    if not isinstance(value, target) or wrong_bool:
        raise BadRequest(f"{path}: expected {_name(target)}, got {_kind(value)}")
    return value


def _float(value: int, path: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise BadRequest(f"{path}: a number beyond what a float holds") from None


def _list(args: tuple[Any, ...], value: object, path: str) -> object:
    if not isinstance(value, list | tuple):
        raise BadRequest(f"{path}: expected a list, got {_kind(value)}")
    if args[0] in (str, int) and all(type(item) is args[0] for item in value):
        return list(value)
    return [convert(args[0], item, f"{path}[{i}]") for i, item in enumerate(value)]


def _tuple(args: tuple[Any, ...], value: object, path: str) -> object:
    if not isinstance(value, list | tuple):
        raise BadRequest(f"{path}: expected a list, got {_kind(value)}")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(convert(args[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if len(value) != len(args):
        raise BadRequest(f"{path}: expected {len(args)} items, got {len(value)}")
    return tuple(convert(hint, item, f"{path}[{i}]") for i, (hint, item) in enumerate(zip(args, value, strict=True)))


def _dict(args: tuple[Any, ...], value: object, path: str) -> object:
    if not isinstance(value, Mapping):
        raise BadRequest(f"{path}: expected a mapping, got {_kind(value)}")
    return {convert(args[0], k, path): convert(args[1], v, _join(path, str(k))) for k, v in value.items()}


def _union(args: tuple[Any, ...], value: object, path: str) -> object:
    if value is None and types.NoneType in args:
        return None
    choices = [hint for hint in args if hint is not types.NoneType]
    if len(choices) == 1:
        return convert(choices[0], value, path)
    for hint in choices:
        try:
            return convert(hint, value, path)
        except BadRequest:
            continue
    raise BadRequest(f"{path}: expected {' or '.join(map(_name, choices))}, got {_kind(value)}")


def _literal(args: tuple[Any, ...], value: object, path: str) -> object:
    if not any(type(value) is type(arg) and value == arg for arg in args):
        shown = repr(value) if isinstance(value, str | int | float) else _kind(value)
        raise BadRequest(f"{path}: {shown} is not one of {', '.join(map(str, args))}")
    return value


def _array(_args: tuple[Any, ...], value: object, path: str) -> object:
    if not isinstance(value, np.ndarray):
        raise BadRequest(f"{path}: expected an array, got {_kind(value)}")
    return value


_CONTAINERS: dict[Any, Callable[[tuple[Any, ...], object, str], object]] = {
    list: _list,
    tuple: _tuple,
    dict: _dict,
    Union: _union,
    types.UnionType: _union,
    typing.Literal: _literal,
    np.ndarray: _array,
}


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _name(target: Any) -> str:
    return "nothing" if target in (None, types.NoneType) else getattr(target, "__name__", str(target))


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__
