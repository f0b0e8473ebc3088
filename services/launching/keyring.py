"""Who has a key to this mesh: make one, revoke one, and all that one machine needs for itself."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from clients.allowed import FILE, Member, read_allowed, write_allowed
from clients.errors import AlreadyExists, BadRequest, ConfigError, NotFound, RagqError
from clients.keys import BACK_FILE, FRONT_FILE, Credential, KeyPair, Role, new_pair, read_pair, write
from clients.reading import nearest

LOCAL: dict[str, list[Role]] = {"client": ["client"], "worker": ["worker", "client"], "admin": ["admin", "client"]}
RESERVED = frozenset({"front", "back"})
_NAME = re.compile(r"[A-Za-z0-9][\w.@-]{0,63}")


@dataclass(frozen=True, slots=True)
class Keyring:
    """The folder with the proxies' keys, the list of members, and the credentials of this machine."""

    folder: Path

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever made in it."""
        return not any((self.folder / file).exists() for file in (FRONT_FILE, BACK_FILE, FILE))

    def members(self) -> list[Member]:
        """Everyone who has, or had, a key."""
        if not (self.folder / FILE).exists():
            return []
        return read_allowed(self.folder / FILE)

    def member(self, name: str) -> Member:
        """The member of a name; NotFound with the nearest name when there is none."""
        members = {member.name: member for member in self.members()}
        if name not in members:
            hint = nearest(name, members) if members else "'ragq keys new NAME --role client' makes the first"
            raise NotFound(f"nobody called '{name}' has a key", help=hint)
        return members[name]

    def proxies(self) -> tuple[KeyPair, KeyPair]:
        """The proxies' pairs, of the front and of the back; made now when there are none.

        Raises:
            ConfigError: one is lost, and others hold keys that open nothing without it.
        """
        front, back = (self._pair(name) for name in (FRONT_FILE, BACK_FILE))
        return front, back

    def _pair(self, file: str) -> KeyPair:
        try:
            return read_pair(self.folder / file)
        except NotFound:
            self._demand_unused(file)
            write(self.folder / file, pair := new_pair())
            return pair

    def _demand_unused(self, file: str) -> None:
        holders = [member.name for member in self.members() if not member.revoked]
        if holders:
            raise ConfigError(
                f"{self.folder / file} is lost, and the keys of {', '.join(holders)} were made for it",
                help=f"copy it back; or move {self.folder} away, and everyone gets a new key",
            )

    def new(self, member: Member, out: Path | None = None) -> Path:
        """Make a key, keep it in a file, and put its holder on the list.

        Args:
            member: who, without a key yet.
            out: the credential's file; None means the name's own in this folder.

        Raises:
            BadRequest: the name is no name.
            AlreadyExists: the name has a key, or the file is there.
        """
        if not _NAME.fullmatch(member.name) or member.name in RESERVED:
            raise BadRequest(f"'{member.name}' cannot be a key's name", help="letters, digits and . _ @ -, at most 64")
        with self._changing():
            members = [other for other in self.members() if other.name != member.name or not other.revoked]
            if any(other.name == member.name for other in members):
                raise AlreadyExists(
                    f"'{member.name}' has a key already",
                    help=f"take another name, or end the old key with 'ragq keys revoke {member.name}'",
                )
            path = out or self.path_of(member.name)
            if path.exists():
                raise AlreadyExists(f"{path} is there already", help="--out names another file")
            listed = self._make(member, path)
            write_allowed(self.folder / FILE, [*members, listed])
        return path

    def _make(self, member: Member, path: Path) -> Member:
        (front, back), own = self.proxies(), new_pair()
        back_key = back.public if "worker" in member.roles else ""
        write(path, Credential(member.name, member.roles, own.public, own.secret, front.public, back_key))
        return replace(member, public=own.public, created=_now())

    def path_of(self, name: str) -> Path:
        """Where a credential is kept on this machine."""
        return self.folder / f"{name}.key"

    def revoke(self, name: str) -> Member:
        """End a key; its credential on this machine, which opens nothing any more, is removed.

        Raises:
            NotFound: nobody has that name.
        """
        with self._changing():
            found = self.member(name)
            if not found.revoked:
                found = replace(found, revoked=_now())
                write_allowed(self.folder / FILE, [found if m.name == name else m for m in self.members()])
                self.path_of(name).unlink(missing_ok=True)
        return found

    def provide(self) -> list[Path]:
        """The proxies' keys, and credentials for the clients, workers and the owner of this machine; what was made.

        A name that was used before is left alone: who revoked it, or keeps its file elsewhere, meant it.
        """
        taken = {member.name for member in self.members()}
        absent = [self.folder / file for file in (FRONT_FILE, BACK_FILE) if not (self.folder / file).exists()]
        self.proxies()
        wanted = [name for name in LOCAL if name not in taken and not self.path_of(name).exists()]
        return absent + [self.new(Member(name, "", LOCAL[name])) for name in wanted]

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One process at a time changes the list."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise RagqError(
                f"cannot write the keys' folder {self.folder}: {error.strerror}", help="security.folder names another"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def limits(role: Role, services: Sequence[str], methods: Sequence[str]) -> tuple[list[str], list[str]]:
    """What such a key may call, and what it may serve: a service is served by workers, and called by all others."""
    if role == "worker":
        return list(methods), list(services)
    return [*(f"{service}.*" for service in services), *methods], []


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
