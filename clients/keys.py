"""Which keys does this machine hold: pairs, credentials, and the files that keep them."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import zmq

from .config import Config
from .errors import BadRequest, ConfigError, NotFound, RagqError
from .reading import read

Role = Literal["client", "worker", "admin"]
KEY_CHARS = 40
MAX_FILE_BYTES = 64 << 10
FRONT_FILE = "front.key"
BACK_FILE = "back.key"
K = TypeVar("K", "KeyPair", "Credential")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A CURVE key pair, both keys as Z85 text."""

    public: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credential:
    """What a program needs in order to be let in.

    Attributes:
        name: what people call it, in lists and logs.
        roles: what its holder may be.
        front, back: public keys of the proxies, of the side for clients and of the side for workers; ``back`` is empty
            for one who is no worker.
    """

    name: str
    roles: list[Role]
    public: str
    secret: str = field(repr=False)
    front: str = ""
    back: str = ""


def new_pair() -> KeyPair:
    """A pair that nobody has had before."""
    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode("ascii"), secret.decode("ascii"))


def is_key(text: str) -> bool:
    """Whether a text can be a key: 32 bytes as Z85."""
    try:
        zmq.curve_public(text.encode("ascii"))
    except (ValueError, zmq.ZMQError):
        return False
    return len(text) == KEY_CHARS


def credential_of(config: Config, use: Literal["client", "worker"]) -> Credential | None:
    """The credential of the clients, or of the workers, of this machine; None when the mesh has no keys.

    Raises:
        ConfigError: security is on and the file is absent, readable by others, or not for this use.
    """
    if not config.security.enabled:
        return None
    named = config.security.client if use == "client" else config.security.worker
    path = Path(named) if named else config.keys_folder / f"{use}.key"
    try:
        found = read_credential(path)
    except NotFound as error:
        raise ConfigError(error.message, help=_where_from(use, path)) from None
    if use == "worker" and "worker" not in found.roles:
        raise ConfigError(f"the credential {path} of '{found.name}' is not for workers", help=_where_from(use, path))
    return found


def _where_from(use: str, path: Path) -> str:
    return (
        f"where the proxies run, 'ragq keys new NAME --role {use} --out FILE' makes one; put it at {path}, "
        f"or name its place in security.{use}"
    )


def read_credential(path: Path) -> Credential:
    """The credential in a file.

    Raises:
        NotFound: there is no such file.
        ConfigError: others may read it, or it is no credential.
    """
    found = _read(Credential, path)
    if not all(is_key(key) for key in (found.front, found.back) if key):
        raise _not_one(path)
    return found


def read_pair(path: Path) -> KeyPair:
    """The pair in a file.

    Raises:
        NotFound: there is no such file.
        ConfigError: others may read it, or it is no pair.
    """
    return _read(KeyPair, path)


def _read(cls: type[K], path: Path) -> K:
    try:
        found = read(cls, _document(path))
        public = zmq.curve_public(found.secret.encode("ascii")).decode("ascii")
    except (BadRequest, ValueError, RecursionError, zmq.ZMQError):  # what they say could quote the secret
        raise _not_one(path) from None
    if public != found.public:
        raise ConfigError(f"the two keys in {path} do not belong together", help="make a new one with 'ragq keys new'")
    return found


def _document(path: Path) -> Mapping[str, object]:
    try:
        with path.open("rb") as file:
            _refuse_shared(path, os.fstat(file.fileno()))
            document = json.loads(file.read(MAX_FILE_BYTES))
    except FileNotFoundError:
        raise NotFound(f"there is no key file {path}") from None
    except OSError as error:
        raise ConfigError(f"cannot read the key file {path}: {error.strerror}") from None
    if not isinstance(document, Mapping):
        raise ValueError("not a mapping")
    return document


def _refuse_shared(path: Path, found: os.stat_result) -> None:
    """Only its owner reads a key; root's may be read by a group, because that is how containers get theirs."""
    others = 0o027 if found.st_uid == 0 and os.name == "posix" and os.geteuid() != 0 else 0o077
    if os.name == "posix" and stat.S_IMODE(found.st_mode) & others:
        raise ConfigError(f"others on this machine may read the key file {path}", help=f"chmod 600 {path}")


def _not_one(path: Path) -> ConfigError:
    return ConfigError(f"{path} is not a key file of ragq", help="'ragq keys new' makes one")


def write(path: Path, keys: KeyPair | Credential) -> None:
    """Keep a pair or a credential in a file that only its owner may read."""
    write_private(path, json.dumps(asdict(keys), indent=1) + "\n")


def write_private(path: Path, text: str) -> None:
    """Replace a file as a whole; nobody but its owner ever reads any of it.

    Raises:
        RagqError: the folder cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise RagqError(
            f"cannot write {path}: {error.strerror}", help="the folder has to be yours; security.folder names another"
        ) from None
