"""How does a command reach the launcher that runs on this data directory?

Over a socket file that only this user can open. A request is one line of JSON; the answer is a line
of JSON for each thing that happened, and a last one that says how it ended.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from clients.config import Config
from clients.errors import Forbidden, NotFound, RagqError
from services.launching.rolling import Order

MAX_REQUEST = 64 << 10
HEARING_S = 5.0


class Failed(RagqError):
    """The launcher could not do what it was asked."""

    code, reason = 9, "ORDER_FAILED"


def door(config: Config) -> Path:
    """The socket file of a data directory's launcher."""
    return Path(config.control_address("launcher").removeprefix("ipc://"))


@contextmanager
def taken(path: Path, give: Callable[[Order], None]) -> Iterator[None]:
    """Take orders at ``path`` for the time of the ``with`` statement; only the owner of the data directory does."""
    folder(path.parent)
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
        threading.Thread(target=_open, args=(listener, give), name="orders", daemon=True).start()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            with suppress(OSError):  # wakes the thread where closing alone does not
                listener.shutdown(socket.SHUT_RDWR)


def folder(path: Path) -> None:
    """Make the directory of a socket file, and make sure that it is ours alone.

    Raises:
        Forbidden: somebody else made it.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
        raise Forbidden(f"{path} belongs to another user", help="remove it, or choose another data directory")
    path.chmod(0o700)


def _open(listener: socket.socket, give: Callable[[Order], None]) -> None:
    while True:
        try:
            line, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_hear, args=(line, give), name="order", daemon=True).start()


def _hear(line: socket.socket, give: Callable[[Order], None]) -> None:
    said: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
    with line, suppress(OSError):  # whoever asked may go; the order is carried out all the same
        line.settimeout(HEARING_S)
        give(_order(line.makefile("rb").readline(MAX_REQUEST), said))
        while "failure" not in (record := said.get()):
            _say(line, record)
        _say(line, record)


def _order(request: bytes, said: queue.SimpleQueue[dict[str, str]]) -> Order:
    try:
        asked = json.loads(request)
        names, comes_back = tuple(map(str, asked["names"])), bool(asked["comes_back"])
    except (ValueError, TypeError, KeyError):
        raise OSError("an order that nobody can read") from None
    return Order(
        names, comes_back, lambda text: said.put({"said": text}), lambda failure: said.put({"failure": failure})
    )


def _say(line: socket.socket, record: dict[str, str]) -> None:
    line.sendall(json.dumps(record, ensure_ascii=False).encode() + b"\n")


def ordered(path: Path, names: tuple[str, ...], *, comes_back: bool) -> Iterator[str]:
    """Give an order to the launcher, and yield what it says until it is done.

    Raises:
        NotFound: no launcher takes orders there.
        Failed: it could not do it.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        try:
            line.connect(str(path))
        except OSError:
            raise NotFound(
                f"no mesh takes orders at {path}", help="'ragq up' starts one on this data directory"
            ) from None
        line.sendall(json.dumps({"names": names, "comes_back": comes_back}).encode() + b"\n")
        for record in map(_read, line.makefile("rb")):
            if "failure" not in record:
                yield record["said"]
            elif record["failure"]:
                raise Failed(
                    record["failure"], help="'ragq status' shows what runs, 'ragq logs launcher' what was done"
                )
            else:
                return
    raise Failed("the launcher ended before it was done", help="'ragq logs launcher' may tell why")


def _read(line: bytes) -> Any:
    return json.loads(line)
