"""What did the file, the environment and the flags say: each value with its place, before anything is checked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ConfigError

ENV_PREFIX = "RAGQ_"
ENV_NOT_KEYS = frozenset({"RAGQ_CONFIG", "RAGQ_HOME"})
FILE_NAME = "ragq.yml"
MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Given:
    """One value that somebody set.

    Attributes:
        path: the key's parts: ``("llm", "threads")``.
        origin: ``ragq.yml:14``, the environment variable, or the flag.
        is_text: the value is text whose type the key decides (environment, flags).
    """

    path: tuple[str, ...]
    value: object
    origin: str
    is_text: bool = False

    @property
    def key(self) -> str:
        """The dotted key."""
        return ".".join(self.path)

    @property
    def place(self) -> str:
        """The origin as messages say it: ``ragq.yml line 14``."""
        name, _, line = self.origin.rpartition(":")
        return f"{name} line {line}" if name and line.isdigit() else self.origin


def find_file(path: str | Path | None, env: Mapping[str, str]) -> Path | None:
    """The file to read: the given one, RAGQ_CONFIG, ./ragq.yml, the user's; None when there is none.

    Raises:
        ConfigError: a file that was named is not there.
    """
    named = path or env.get("RAGQ_CONFIG")
    if named:
        return _existing(Path(named).expanduser())
    places = (Path(FILE_NAME), user_file(env))
    return next((place.absolute() for place in places if place.is_file()), None)


def user_file(env: Mapping[str, str]) -> Path:
    """Where a user's own ragq.yml lives."""
    if os.name == "nt":
        return Path(env.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "ragq" / FILE_NAME
    return Path(env.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "ragq" / FILE_NAME


def _existing(path: Path) -> Path:
    if not path.exists() or path.is_dir():
        reason = "it is a directory" if path.is_dir() else "there is no such file"
        raise ConfigError(
            f"cannot read the configuration {path}: {reason}", help="'ragq init' writes a commented ragq.yml"
        )
    return path.absolute()


def from_file(path: Path) -> list[Given]:
    """Every value of a ragq.yml, or of the JSON that the launcher hands to its children.

    Raises:
        ConfigError: the file cannot be read or parsed; names the line.
    """
    label = _label(path)
    text = _text(path, label)
    if path.suffix == ".json":
        return list(_flat(_json(text, label), label))
    return list(_values(_yaml_node(text, label), label))


def _label(path: Path) -> str:
    return path.name if path.parent == Path.cwd() else str(path)


def _text(path: Path, label: str) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{label} has {len(data)} bytes; a configuration has at most {MAX_FILE_BYTES}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{label} line {line}: not UTF-8 text", help="save the file as UTF-8") from None


def _json(text: str, label: str) -> object:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{label}: not JSON: {error}") from None
    if not isinstance(document, Mapping):
        raise ConfigError(f"{label}: expected an object")
    return document


def _flat(value: object, origin: str, path: tuple[str, ...] = ()) -> Iterator[Given]:
    if isinstance(value, Mapping) and (value or not path):  # an empty one still names its section
        for name, item in value.items():
            yield from _flat(item, origin, (*path, name))
    else:
        yield Given(path, value, origin)


def _yaml_node(text: str, label: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise ConfigError(
            f"reading {label} needs the package 'pyyaml', which is not installed", help="pip install pyyaml"
        ) from None
    try:
        return yaml.compose(text, yaml.SafeLoader)
    except RecursionError:
        raise ConfigError(f"{label}: nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{label} line {line}: not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{label}: not YAML: {error}") from None


def _values(node: Any, label: str, path: tuple[str, ...] = (), seen: set[int] | None = None) -> Iterator[Given]:
    """Leaves below a YAML node, each with its line; a repeated node is an alias, which a ragq.yml has no use for."""
    seen = set() if seen is None else seen
    if node is None:
        return
    if node.id == "mapping" and (node.value or not path):
        yield from _entries(node, label, path, seen)
    elif not path:
        raise ConfigError(f"{label} line {_line(node)}: expected 'key: value' lines")
    else:
        yield Given(path, _leaf(node, label), f"{label}:{_line(node)}")


def _entries(node: Any, label: str, path: tuple[str, ...], seen: set[int]) -> Iterator[Given]:
    names: set[str] = set()
    for key, value in node.value:
        name, key_line = str(key.value), _line(key)
        if name in names:
            raise ConfigError(f"{label} line {key_line}: '{'.'.join((*path, name))}' is set twice")
        if id(value) in seen or name == "<<":
            raise ConfigError(
                f"{label} line {key_line}: anchors and aliases are not supported", help="write the value out"
            )
        names.add(name)
        seen.add(id(value))
        for given in _values(value, label, (*path, name), seen):
            yield given if len(given.path) > len(path) + 1 else Given(given.path, given.value, f"{label}:{key_line}")


def _leaf(node: Any, label: str) -> object:
    import yaml

    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ConfigError(f"{label} line {_line(node)}: this value cannot be read", help="put it in quotes") from None
    finally:
        loader.dispose()


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def from_env(env: Mapping[str, str], top_level: frozenset[str]) -> list[Given]:
    """Values of RAGQ_ variables: ``RAGQ_LLM__THREADS=2`` is llm.threads, RAGQ_HOME is data_dir.

    A variable without a double underscore counts only when it names one of ``top_level``:
    Kubernetes sets RAGQ_PORT and the like for a service that is called ragq.
    """
    found = [Given(("data_dir",), env["RAGQ_HOME"], "RAGQ_HOME", is_text=True)] if env.get("RAGQ_HOME") else []
    for name in sorted(env):
        path = tuple(name.removeprefix(ENV_PREFIX).lower().split("__"))
        if is_key(name, top_level):
            found.append(Given(path, env[name], name, is_text=True))
    return found


def is_key(name: str, top_level: frozenset[str]) -> bool:
    """Whether an environment variable sets a key."""
    if not name.startswith(ENV_PREFIX) or name in ENV_NOT_KEYS:
        return False
    rest = name.removeprefix(ENV_PREFIX).lower()
    return "__" in rest or rest in top_level


def from_flags(flags: Mapping[str, str]) -> list[Given]:
    """Values of command line flags by dotted key."""
    return [
        Given(tuple(key.split(".")), value, f"--{key.replace('_', '-')}", is_text=True) for key, value in flags.items()
    ]
