"""Who may come to the mesh, and for what: the list that `ragq keys` keeps and the proxies read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .errors import BadRequest, ConfigError
from .keys import Role, is_key, write_private
from .reading import read

FILE = "allowed.yml"
HEADER = "# Who may come to this mesh. 'ragq keys' writes this file; a running proxy reads it again when it changes.\n"
_CALLS = re.compile(r"[A-Za-z_][\w-]*\.(\*|[A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class Member:
    """One key on the list.

    Attributes:
        public: its public key, Z85.
        calls: methods that it may call, ``index.search`` or ``llm.*``; empty means all.
        serves: services that it may serve as a worker; empty means all.
        created, revoked: when, as ISO 8601; ``revoked`` is empty while the key holds.
    """

    name: str
    public: str
    roles: list[Role]
    calls: list[str] = field(default_factory=list)
    serves: list[str] = field(default_factory=list)
    created: str = ""
    revoked: str = ""


def is_pattern(text: str) -> bool:
    """Whether a text can stand in ``calls``: ``service.method`` or ``service.*``."""
    return _CALLS.fullmatch(text) is not None


def read_allowed(path: Path) -> list[Member]:
    """Everyone on the list, those revoked too.

    Raises:
        ConfigError: the file is absent, unreadable or not such a list; says why.
    """
    entries = list(_entries(path))
    members = [_member(path, name, entry) for name, entry in entries]
    if twice := _twice(member.name for member in members):
        raise ConfigError(f"{path}: '{twice}' stands there twice", help="remove one of them")
    if twice := _twice(member.public for member in members):
        names = " and ".join(member.name for member in members if member.public == twice)
        raise ConfigError(f"{path}: {names} have the same key", help="remove one of them")
    return members


def _entries(path: Path) -> Iterator[tuple[str, object]]:
    """The list's names with what belongs to them; a mapping would keep only the last of two with one name."""
    import yaml

    text = _text(path)
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        if not isinstance(root, yaml.MappingNode):
            raise ConfigError(f"{path}: expected a mapping of names to keys")
        for key, value in root.value:
            yield str(key.value), yaml.SafeLoader("").construct_document(value)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", help="'ragq keys new' makes it") from None
    except ValueError:
        raise ConfigError(f"{path} is not UTF-8 text") from None


def _twice(texts: Iterable[str]) -> str:
    return next((text for text, count in Counter(texts).items() if count > 1), "")


def _member(path: Path, name: str, entry: object) -> Member:
    try:
        found = read(Member, {"name": name, **entry} if isinstance(entry, Mapping) else entry, name)
    except BadRequest as error:
        raise ConfigError(f"{path}: {error.message}", help=error.help) from None
    if not is_key(found.public):
        raise ConfigError(f"{path}: {name}.public is not a key")
    for call in found.calls:
        if not is_pattern(call):
            raise ConfigError(f"{path}: {name}.calls: '{call}' is no method", help="write service.method or service.*")
    return found


def write_allowed(path: Path, members: Iterable[Member]) -> None:
    """Replace the list."""
    import yaml

    entries = {}
    for member in members:
        entry = asdict(member)
        entries[entry.pop("name")] = entry
    write_private(path, HEADER + yaml.safe_dump(entries, sort_keys=False, allow_unicode=True))
