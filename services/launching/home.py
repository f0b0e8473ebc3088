"""What lies in the data directory, and which mesh owns it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from clients.config import Config
from clients.errors import RagqError

POLL_S = 0.05


class HomeLocked(RagqError):
    """Another mesh uses the data directory."""

    code, reason = 9, "HOME_LOCKED"


class HomeUnusable(RagqError):
    """The data directory cannot be written."""

    code, reason = 9, "HOME_UNUSABLE"


@dataclass(frozen=True, slots=True)
class Home:
    """The data directory.

    ``ragq.db`` and ``vectors/`` belong to the Index service, ``models/`` to the shelf; ``logs/``
    has a file per role, and ``run/`` what only a running mesh needs.
    """

    path: Path

    @property
    def logs(self) -> Path:
        """A JSON-lines file per role."""
        return self.path / "logs"

    @property
    def lock_file(self) -> Path:
        """Held by the launcher; its text is the launcher's pid."""
        return self.path / "run" / "lock"

    @property
    def snapshot(self) -> Path:
        """The configuration that the running mesh was started with."""
        return self.path / "run" / "config.json"

    @property
    def roles(self) -> Path:
        """What the launcher knows of each process."""
        return self.path / "run" / "roles.json"

    def prepare(self) -> None:
        """Make the directories.

        Raises:
            HomeUnusable: says why.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for folder in (self.logs, self.lock_file.parent):
                folder.mkdir(exist_ok=True)
            self.lock_file.touch(mode=0o600)
        except OSError as error:
            raise HomeUnusable(
                f"cannot write the data directory {self.path}: {error.strerror}",
                help="choose another with --data-dir or RAGQ_HOME",
            ) from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Own the directory for the time of the ``with`` statement; the kernel gives it back if we die.

        Raises:
            HomeLocked: names the process that owns it.
        """
        with self.lock_file.open("r+", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise HomeLocked(
                    f"the data directory {self.path} is in use by another ragq, pid {self.owner() or 'unknown'}",
                    help="stop it with 'ragq down', or start this one with --data-dir DIR --port-offset 100",
                ) from None
            _write_pid(file.fileno())
            yield

    def owner(self) -> int:
        """Pid of the mesh that owns the directory; 0 when none does."""
        try:
            with self.lock_file.open("r", encoding="ascii") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read().strip() or 0)
        except (FileNotFoundError, ValueError):
            return 0
        return 0

    def stop_owner(self, timeout_s: float) -> int:
        """Ask the mesh that owns the directory to drain, and wait for it.

        Returns:
            Its pid, or 0 when there was none.

        Raises:
            HomeLocked: it still runs after ``timeout_s``.
        """
        pid = self.owner()
        if not pid:
            return 0
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + timeout_s
        while self.owner() == pid:
            if time.monotonic() > deadline:
                raise HomeLocked(
                    f"pid {pid} is still running after {timeout_s:.0f} s",
                    help=f"look at 'ragq logs'; 'kill -9 {pid}' ends it",
                )
            time.sleep(POLL_S)
        return pid

    def keep(self, config: Config) -> Path:
        """Write the configuration for child processes: whole, with offsets applied, readable by the owner only."""
        final = replace(config, data_dir=str(self.path), port_offset=0)
        _write(self.snapshot, json.dumps(asdict(final), ensure_ascii=False, indent=1))
        return self.snapshot


def _write_pid(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole; nobody ever reads half of it."""
    part = path.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(text, encoding="utf-8")
    part.replace(path)


@dataclass(frozen=True, slots=True)
class RoleRecord:
    """What the launcher knows of one process.

    Attributes:
        state: ``running``, ``waiting`` for its next start, ``failed`` for good, ``stopped``.
        why: how it ended last.
    """

    role: str
    state: str
    pid: int = 0
    restarts: int = 0
    why: str = ""


def write_roles(home: Home, records: list[RoleRecord]) -> None:
    """Keep what is known of each process, for ``ragq doctor``."""
    _write(home.roles, json.dumps([asdict(record) for record in records], ensure_ascii=False, indent=1))


def read_roles(home: Home) -> list[RoleRecord]:
    """What the launcher wrote last; empty when it wrote nothing."""
    try:
        return [RoleRecord(**entry) for entry in json.loads(home.roles.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []
