"""Where does the configuration come from, and who set which value.

Defaults, then the file, then the environment, then flags; the later one wins, key by key.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_origin

from .checks import problems
from .config import Config
from .endpoint import Endpoint
from .errors import BadRequest, ConfigError
from .profiles import unnamed, with_profile
from .reading import convert
from .schema import config_schema, defaults, hint_of, hints, masked
from .sources import Given, find_file, from_env, from_file, from_flags
from .spellings import modernise

__all__ = ["TOP_LEVEL", "Loaded", "Shown", "config_schema", "load", "rows", "show"]

TOP_LEVEL = frozenset(
    name for name, hint in hints(Config).items() if not is_dataclass(hint) and get_origin(hint) is not dict
)
PATHS = frozenset(
    {
        "data_dir", "llm.state_path", "index.chroma_path", "index.sqlite_db_path", "index.roots",
        "index.web.search_folder",        "security.folder", "security.client", "security.worker",
    }
)  # fmt: skip
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and where it came from.

    Attributes:
        path: the file, or None when all is built in.
        origins: dotted key to ``file:line``, the environment variable or the flag that set it.
        warnings: old spellings that were understood or ignored, a line each.
    """

    config: Config
    path: Path | None
    origins: dict[str, str]
    warnings: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Shown:
    """One key as ``ragq config show`` prints it; secrets are masked."""

    key: str
    value: object
    origin: str


def load(
    path: str | Path | None = None, *, env: Mapping[str, str] | None = None, flags: Mapping[str, str] | None = None
) -> Loaded:
    """Read the configuration.

    Args:
        path: a ragq.yml; None looks at RAGQ_CONFIG, ./ragq.yml and the user's configuration directory.
        env: the environment; None means this process's.
        flags: text by dotted key, from a command line.

    Raises:
        ConfigError: names the file, the line and the key.
    """
    env = os.environ if env is None else env
    file = find_file(path, env)
    given, warnings = _modern([*(from_file(file) if file else []), *from_env(env, TOP_LEVEL), *from_flags(flags or {})])
    chosen = {item.path: item for item in (_typed(item, file) for item in given) if item.value is not None}
    origins = {item.key: item.origin for item in chosen.values()}
    config = _with_offset(_build(chosen.values()))
    _check(config, chosen)
    return Loaded(config, file, origins, warnings)


def _modern(given: Iterable[Given]) -> tuple[list[Given], tuple[str, ...]]:
    pairs = [modernise(item) for item in given]
    return [item for item, _ in pairs if item], tuple(warning for _, warning in pairs if warning)


def _typed(given: Given, file: Path | None) -> Given:
    """The value as its key's type wants it; relative paths in a file are relative to the file."""
    try:
        hint = hint_of(given.path)
        value = _from_text(hint, str(given.value)) if given.is_text else given.value
        value = value if value is None or (value == {} and _is_section(hint)) else convert(hint, value, given.key)
    except KeyError as error:
        raise ConfigError(f"{given.place}: unknown key {error.args[0]}") from None
    except BadRequest as error:
        said = f"it says {masked(given.key, given.value)!r}; docs/config.md has every key with its default"
        raise ConfigError(f"{given.place}: {error.message}", help=error.help or said) from None
    if given.key in PATHS:
        value = _anchored(value, file.parent if file and not given.is_text else Path.cwd())
    return replace(given, value=value)


def _is_section(hint: Any) -> bool:
    return is_dataclass(hint) or get_origin(hint) is dict or hint is object


def _anchored(value: Any, folder: Path) -> object:
    if isinstance(value, list):
        return [_anchored(item, folder) for item in value]
    return str(folder / Path(value).expanduser()) if value else value


def _from_text(hint: Any, text: str) -> object:
    """Text of the environment or a flag as a value; what does not fit is left for ``convert`` to refuse.

    Empty text sets nothing (container files pass on variables that nobody set), unless the key is a text.
    """
    if not text and hint is not str:
        return None
    if hint is bool:
        word = text.strip().lower()
        return True if word in _TRUE else False if word in _FALSE else text
    if hint in (int, float):
        return _number(text, hint)
    if get_origin(hint) is list or hint is object:
        return _structure(hint, text)
    return text


def _number(text: str, kind: type[int | float]) -> object:
    try:
        return kind(text)
    except ValueError:
        return text


def _structure(hint: Any, text: str) -> object:
    """JSON, or for a list the items between commas, or for a free setting the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        is_list = get_origin(hint) is list and get_args(hint)[0] is str
        return [item.strip() for item in text.split(",") if item.strip()] if is_list else text


def _build(given: Iterable[Given]) -> Config:
    tree: dict[str, Any] = {}
    for item in sorted(given, key=lambda item: len(item.path)):
        below = tree
        for name in item.path[:-1]:
            below = _section(below, name)
        below[item.path[-1]] = {} if item.value == {} else item.value
    default = Config()
    built = _over(replace(default, llm=unnamed(default.llm)), Config, tree, ())
    assert isinstance(built, Config)
    return replace(built, llm=with_profile(built.llm))


def _section(tree: dict[str, Any], name: str) -> dict[str, Any]:
    """The mapping below ``name``; in free settings a deeper key wins over a plain value."""
    if not isinstance(tree.get(name), dict):
        tree[name] = {}
    section: dict[str, Any] = tree[name]
    return section


def _over(default: object, cls: Any, tree: Mapping[str, Any], path: tuple[str, ...]) -> object:
    """``default`` with the values of ``tree`` laid over it, so that a half-given endpoint keeps its other half."""
    known = hints(cls)
    changes = {name: _value(getattr(default, name), known[name], value, (*path, name)) for name, value in tree.items()}
    return replace(default, **changes)  # type: ignore[type-var]  # only dataclasses come here


def _value(default: object, hint: Any, value: Any, path: tuple[str, ...]) -> object:
    if not isinstance(value, Mapping):
        return value
    return _over(default, hint, value, path) if is_dataclass(hint) else convert(hint, value, ".".join(path))


def _with_offset(config: Config) -> Config:
    """Every port moved by ``port_offset``."""
    step = config.port_offset
    if not step:
        return config

    def moved(end: Endpoint) -> Endpoint:
        return replace(end, port=end.port + step) if end.protocol == "tcp" else end

    def service(section: Any) -> Any:
        pairs = [f"{moved(pair.front_end).address} {moved(pair.back_end).address}" for pair in section.pairs[1:]]
        return replace(section, front_end=moved(section.front_end), back_end=moved(section.back_end), proxies=pairs)

    return replace(
        config,
        llm=service(config.llm),
        index=service(config.index),
        tuning=service(config.tuning),
        services={name: service(section) for name, section in config.services.items()},
        http=replace(config.http, port=config.http.port + step),
        ui=replace(config.ui, port=config.ui.port + step),
    )


def _check(config: Config, chosen: Mapping[tuple[str, ...], Given]) -> None:
    for key, why, cure in problems(config):
        given = chosen.get(tuple(key.split(".")))
        place = f"{given.place}: " if given else ""
        raise ConfigError(f"{place}{key}: {why}", help=cure)


def rows(loaded: Loaded) -> list[Shown]:
    """Every key with its value and origin, secrets masked."""
    return [
        Shown(key, masked(key, value), loaded.origins.get(key, "default")) for key, value in defaults(loaded.config)
    ]


def show(loaded: Loaded, *, origin: bool = False) -> str:
    """The configuration as text, a key a line, with the origin of each value when asked."""
    lines = [(f"{row.key}: {json.dumps(row.value, ensure_ascii=False)}", row.origin) for row in rows(loaded)]
    width = max(len(line) for line, _ in lines)
    return "\n".join(f"{line:<{width}}  # {source}" if origin else line for line, source in lines)
