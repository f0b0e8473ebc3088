"""Who is let in at a proxy: its keys, and the answer to what libzmq asks of every connection (ZAP, ZeroMQ RFC 27)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from zmq.utils import z85

from clients import sockets
from clients.allowed import FILE
from clients.errors import ConfigError, NotFound
from clients.keys import BACK_FILE, FRONT_FILE, KeyPair, read_pair
from proxies.access import Access
from proxies.access_list import AccessList

NUM_ZAP_FRAMES = 6
CURVE_KEY_BYTES = 32
QUIET_S = 1.0
log = logging.getLogger("ragq.proxy")


class Gate:
    """The gate of one proxy; opened before its ROUTERs, closed after them, used by their thread.

    Attributes:
        front, back: the keys of the side for clients and of the side for workers.
        socket: readable when a connection waits for an answer.
        num_refused: connections that were not let in.
    """

    def __init__(self, folder: Path) -> None:
        self.front, self.back = _pair(folder / FRONT_FILE), _pair(folder / BACK_FILE)
        self._list = AccessList(folder / FILE)
        self.num_refused = 0
        self._told_at = float("-inf")
        self.socket = sockets.authenticator()

    @property
    def access(self) -> Access:
        """The rights that hold now."""
        return self._list.access

    def look_again(self) -> None:
        """Let the next ``refresh`` read the list; safe in a signal handler."""
        self._list.look_again()

    def refresh(self, now: float) -> bool:
        """Read the list if it has changed; whether other rights hold from now on."""
        return self._list.refresh(now)

    def answer(self, now: float) -> bool:
        """Let in, or refuse, every connection that waits; whether other rights hold from now on.

        Nobody is refused for a list that is out of date: a key may be used as soon as it was made.
        """
        has_changed = False
        while self.socket.poll(0):
            request = self.socket.recv_multipart()
            reply, refusal = verdict(request, self.access)
            if refusal and self._list.is_newer():
                has_changed = True
                reply, refusal = verdict(request, self.access)
            self.socket.send_multipart(reply)
            if refusal:
                self._tell(refusal, now)
        return has_changed

    def _tell(self, refusal: str, now: float) -> None:
        """Log a refusal; a flood of them, once a second."""
        self.num_refused += 1
        if now - self._told_at >= QUIET_S:
            log.warning("refused %s (%d refused so far)", refusal, self.num_refused)
            self._told_at = now

    def close(self) -> None:
        """Answer nobody any more."""
        self.socket.close(0)


def _pair(path: Path) -> KeyPair:
    try:
        return read_pair(path)
    except NotFound as error:
        raise ConfigError(
            f"security is enabled, and {error.message}",
            help="'ragq keys new NAME --role client' makes the proxies' keys too; a second proxy gets copies of them",
        ) from None


def verdict(request: Sequence[bytes], access: Access) -> tuple[list[bytes], str]:
    """The answer to libzmq's question, and who was refused ('' when the connection may be made).

    A connection's User-Id is its public key, so that the rights of each message can be looked up.
    """
    version, request_id, domain, address, _, mechanism = request[:NUM_ZAP_FRAMES]
    key = request[NUM_ZAP_FRAMES] if len(request) > NUM_ZAP_FRAMES else b""
    principal = z85.encode(key).decode("ascii") if mechanism == b"CURVE" and len(key) == CURVE_KEY_BYTES else ""
    side = domain.decode("ascii", "replace")
    if principal and access.may_connect(side, principal):
        return [version, request_id, b"200", b"OK", principal.encode("ascii"), b""], ""
    who = f"the key of '{name}'" if (name := access.name(principal)) else "a key that is not on the list"
    refusal = f"{who} among the {side}, from {address.decode('ascii', 'replace') or 'this machine'}"
    return [version, request_id, b"400", b"this key may not connect here", b"", b""], refusal
