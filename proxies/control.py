"""How a proxy takes orders from its own machine: the launcher, 'ragq drain', and its successor."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import Any

import zmq

from clients import sockets
from clients.errors import BadRequest, Forbidden, RagqError
from clients.frames import Buffer
from clients.greetings import Welcome
from clients.packing import pack, unpack
from clients.system import HEALTH, Health
from clients.wire import Envelope, Kind, Nothing, decode, failure_envelope, message, payload_of, peek
from proxies.port import Port
from proxies.system import System

ASK_S = 1.0
PONG = Envelope(Kind.PONG, 0).encode()


class Control:
    """The control socket; whoever can open its file may give every order.

    Attributes:
        port: to poll.
    """

    def __init__(self, address: str, welcome: Welcome, system: System, *, is_successor: bool) -> None:
        if address.startswith("ipc://"):
            private_folder(Path(address.removeprefix("ipc://")).parent)
        self.port = Port(address, is_successor=is_successor)
        self._welcome, self._system = welcome, system

    def hear(self, frames: list[Any], _principal: str, _now: float) -> None:
        """A message came."""
        head = frames[1]
        try:
            reply = self._reply(frames[1:])
        except RagqError as error:
            call_id = peek(head).id if _is_ours(head) else 0
            reply = [failure_envelope(call_id, error, "proxy").encode()]
        if reply:
            self.port.send([frames[0], *reply])

    def _reply(self, frames: list[Any]) -> list[Buffer]:
        header = peek(frames[0])
        match header.kind:
            case Kind.CALL:
                return self._system.answer(frames, is_admin=True)
            case Kind.HELLO:
                return message(Envelope(Kind.WELCOME, 0), pack(self._welcome))
            case Kind.STATUS:
                return self._system.status(header.id)
            case Kind.PING:
                return [PONG]
            case Kind.BYE | Kind.CANCEL | Kind.PONG | Kind.CREDIT:
                return []
        raise BadRequest(f"a control socket does not take messages of kind {header.kind}")


def _is_ours(frame: Any) -> bool:
    try:
        peek(frame)
    except RagqError:
        return False
    return True


def private_folder(path: Path) -> None:
    """Make the directory of a control socket, and see that it is ours alone.

    Raises:
        Forbidden: it belongs to somebody else.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
        raise Forbidden(f"{path} belongs to another user", help="remove it, or choose another data directory")
    path.chmod(0o700)


def health_at(address: str, within_s: float = ASK_S) -> Health | None:
    """How the proxy is that has a control socket; None when there is none."""
    path = address.removeprefix("ipc://")
    if address.startswith("ipc://") and not Path(path).exists():
        return None
    asking = sockets.opened(zmq.DEALER, linger_ms=0)
    try:
        asking.connect(address)
        asking.send_multipart(message(Envelope(Kind.CALL, 1, method=HEALTH.key), pack(Nothing())))
        return _health(asking, time.monotonic() + within_s)
    finally:
        asking.close(0)


def _health(asked: zmq.Socket[bytes], until: float) -> Health | None:
    while asked.poll(max(0, int((until - time.monotonic()) * 1000))):
        frames = asked.recv_multipart()
        envelope = decode(frames[0])
        if envelope.kind is Kind.REPLY:
            return unpack(Health, payload_of(envelope, list(frames[1:])))
        if envelope.kind is Kind.ERROR:
            return None
    return None
