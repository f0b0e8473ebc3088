"""How does a mapping from outside become one of our dataclasses, strictly.

What to do for a type is found out once; the readers below know nothing of where a value stands, and
only a refusal gathers its path on the way out.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin

import numpy as np

from .errors import BadRequest

T = TypeVar("T")
Reader = Callable[[Any], Any]
_EXACT = (str, int, float, bool, bytes)


def read(cls: type[T], mapping: object, path: str = "") -> T:
    """Build ``cls`` from ``mapping``; refuse unknown, missing and wrongly typed fields.

    Args:
        cls: a dataclass; its annotations are the schema.
        mapping: what msgpack or YAML gave.
        path: where the mapping stands, for messages: ``llm.front_end``.

    Raises:
        BadRequest: names the field by its path, and the nearest known field for a typo.
    """
    try:
        return _build(cls, mapping)
    except _Wrong as wrong:
        raise wrong.error(path, cls.__name__) from None


def convert(hint: Any, value: object, path: str) -> object:
    """``value`` as the annotation ``hint`` wants it, or BadRequest with ``path``."""
    try:
        return _reader(hint)(value)
    except _Wrong as wrong:
        raise wrong.error(path, "") from None


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a mistyped word: the nearest known one, or all of them."""
    known = sorted(known)
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(known)}"


class _Wrong(Exception):
    """A value that does not fit; every reader that it passes adds where it stands."""

    def __init__(self, after: str, before: str = "", place: str = "", help_text: str = "") -> None:
        super().__init__(after)
        self._before, self._after, self._help = before, after, help_text
        self._places = [place] if place else []

    def under(self, place: str) -> None:
        self._places.append(place)

    def error(self, path: str, otherwise: str) -> BadRequest:
        inner = "".join(reversed(self._places))
        place = path + inner if path else inner.removeprefix(".") if inner else otherwise
        return BadRequest(f"{self._before}{place}{self._after}", help=self._help)


def _expected(what: str, value: object) -> _Wrong:
    return _Wrong(f": expected {what}, got {_kind(value)}")


# -- dataclasses -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a class is read: its fields in order, each with its reader and whether it must be given."""

    known: frozenset[str]
    fields: tuple[tuple[str, Reader, bool], ...]


@cache
def _plan(cls: type) -> _Plan:
    hints = typing.get_type_hints(cls)
    entries = tuple(
        (f.name, _reader(hints[f.name]), f.default is MISSING and f.default_factory is MISSING)
        for f in fields(cls)
        if f.init
    )
    return _Plan(frozenset(name for name, _, _ in entries), entries)


def _build(cls: type[T], mapping: Any) -> T:
    if type(mapping) is not dict and not isinstance(mapping, Mapping):
        raise _expected("a mapping", mapping)
    plan = _plan(cls)  # type: ignore[arg-type]  # a class is hashable; the checker sees its instances' __hash__
    if not mapping.keys() <= plan.known:
        raise _unknown(mapping, plan.known)
    values = {}
    for name, reader, is_required in plan.fields:
        if name in mapping:
            try:
                values[name] = reader(mapping[name])
            except _Wrong as wrong:
                wrong.under(f".{name}")
                raise
        elif is_required:
            raise _Wrong("'", "missing key '", f".{name}")
    return cls(**values)


def _unknown(mapping: Mapping[Any, object], known: frozenset[str]) -> _Wrong:
    key = str(next(key for key in mapping if key not in known))
    return _Wrong("'", "unknown key '", f".{key}", nearest(key, known))


# -- a reader for each kind of annotation ----------------------------------------------------------


def _reader(hint: Any) -> Reader:
    if hint in (Any, object):
        return _as_it_is
    origin = get_origin(hint)
    maker = _MAKERS.get(origin)
    if maker is not None:
        return maker(get_args(hint))
    target = origin or hint
    if is_dataclass(target) and isinstance(target, type):
        return _of_class(target)
    return _of_scalar(types.NoneType if target is None else target)


def _as_it_is(value: object) -> object:
    return value


def _of_class(target: type) -> Reader:
    return lambda value: value if isinstance(value, target) else _build(target, value)


def _of_scalar(target: Any) -> Reader:
    return lambda value: value if type(value) is target else _scalar(target, value)


def _scalar(target: Any, value: object) -> object:
    """A value whose type is not the very one: a subclass, or an integer for a float."""
    if target is float and isinstance(value, int) and not isinstance(value, bool):
        return _float(value)
    if not isinstance(value, target) or isinstance(value, bool):
        raise _expected(_name(target), value)
    return value


def _float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise _Wrong(": a number beyond what a float holds") from None


def _of_list(args: tuple[Any, ...]) -> Reader:
    reader = _reader(args[0])
    exact = frozenset([args[0]] if args[0] in _EXACT else [])

    def read_list(value: object) -> object:
        items = _listed(value)
        return list(items) if exact.issuperset(map(type, items)) else _each(reader, items)

    return read_list


def _of_tuple(args: tuple[Any, ...]) -> Reader:
    if len(args) == 2 and args[1] is Ellipsis:
        reader = _reader(args[0])
        return lambda value: tuple(_each(reader, _listed(value)))
    readers = [_reader(hint) for hint in args]

    def read_tuple(value: object) -> object:
        items = _listed(value)
        if len(items) != len(readers):
            raise _Wrong(f": expected {len(readers)} items, got {len(items)}")
        pairs = zip(readers, items, strict=True)
        return tuple(_each(lambda pair: pair[0](pair[1]), list(pairs)))

    return read_tuple


def _listed(value: object) -> list[object] | tuple[object, ...]:
    if isinstance(value, (list, tuple)):
        return value
    raise _expected("a list", value)


def _each(reader: Reader, items: Iterable[object]) -> list[object]:
    done: list[object] = []
    for item in items:
        try:
            done.append(reader(item))
        except _Wrong as wrong:
            wrong.under(f"[{len(done)}]")
            raise
    return done


def _of_dict(args: tuple[Any, ...]) -> Reader:
    key_reader, reader = map(_reader, args)

    def read_dict(value: object) -> object:
        if not isinstance(value, Mapping):
            raise _expected("a mapping", value)
        return {key_reader(key): _under(f".{key}", reader, item) for key, item in value.items()}

    return read_dict


def _under(place: str, reader: Reader, value: object) -> object:
    try:
        return reader(value)
    except _Wrong as wrong:
        wrong.under(place)
        raise


def _of_union(args: tuple[Any, ...]) -> Reader:
    has_none = types.NoneType in args
    choices = [hint for hint in args if hint is not types.NoneType]
    readers = [_reader(hint) for hint in choices]
    if len(readers) == 1:
        (reader,) = readers
        return lambda value: None if value is None else reader(value)

    def read_any(value: object) -> object:
        if value is None and has_none:
            return None
        for reader in readers:
            try:
                return reader(value)
            except (_Wrong, BadRequest):
                continue
        raise _expected(" or ".join(map(_name, choices)), value)

    return read_any


def _of_literal(args: tuple[Any, ...]) -> Reader:
    allowed: dict[type, set[object]] = {}
    for arg in args:
        allowed.setdefault(type(arg), set()).add(arg)

    def read_literal(value: object) -> object:
        if value in allowed.get(type(value), ()):
            return value
        shown = repr(value) if isinstance(value, str | int | float) else _kind(value)
        raise _Wrong(f": {shown} is not one of {', '.join(map(str, args))}")

    return read_literal


def _of_array(_args: tuple[Any, ...]) -> Reader:
    def read_array(value: object) -> object:
        if not isinstance(value, np.ndarray):
            raise _expected("an array", value)
        return value

    return read_array


_MAKERS: dict[Any, Callable[[tuple[Any, ...]], Reader]] = {
    list: _of_list,
    tuple: _of_tuple,
    dict: _of_dict,
    Union: _of_union,
    types.UnionType: _of_union,
    typing.Literal: _of_literal,
    np.ndarray: _of_array,
}


def _name(target: Any) -> str:
    return "nothing" if target in (None, types.NoneType) else getattr(target, "__name__", str(target))


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__
