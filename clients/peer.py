"""How one thread talks to the ROUTER at an address: what it sends while connected, and when the connection broke."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import zmq
from zmq.backend import Socket as Bare

from .errors import RagqError, Unauthenticated
from .keys import Credential
from .sockets import opened

EVENT = struct.Struct("=HI")
READABLE = int(zmq.POLLIN)  # pyzmq's own names are enums, which cost more than what is asked with them
AT_ONCE = int(zmq.NOBLOCK)
ASKED = 2
AT_ONCE_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)
EVENTS = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)
MAX_SILENT_FAILURES = 3


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a connection.

    Attributes:
        refusal: why the other side did not let this one in.
    """

    is_connected: bool
    refusal: RagqError | None = None


class Peer:
    """A DEALER's connection to the one ROUTER at an address; one thread at a time uses it.

    It sends only while connected, and forgets with the connection what was not sent: a call must not
    run long after its caller was told that it failed. libzmq's own way to that end, IMMEDIATE, aborts
    the process when the connection breaks between two frames that are being read (4.3.5, fq.cpp).
    There is no high-water mark on the receive side, because together with ZMTP heartbeats one aborts
    the process too. A refused key is never tried again by libzmq itself; ``renew`` does.

    Args:
        credential: who this side is; None for a mesh without keys.
        server_key: the public key of the ROUTER.

    Attributes:
        socket: readable when a message came.
        monitor: readable when the connection changed.
        has_news: the connection is up from the start, which the monitor does not tell.
        is_unsure: a message may have come that the file descriptor does not tell any more.
    """

    def __init__(
        self,
        address: str,
        *,
        linger_ms: int = 100,
        credential: Credential | None = None,
        server_key: str = "",
    ) -> None:
        self._address, self._linger_ms = address, linger_ms
        self._credential, self._server_key = credential, server_key
        self._num_silent_failures = 0
        self._open()

    def _open(self) -> None:
        self.socket = opened(zmq.DEALER, self._linger_ms)
        self.socket.set(zmq.RECONNECT_IVL, 50)
        self.socket.set(zmq.RECONNECT_IVL_MAX, 1000)
        if self._credential is not None:
            self.socket.set(zmq.CURVE_PUBLICKEY, self._credential.public.encode())
            self.socket.set(zmq.CURVE_SECRETKEY, self._credential.secret.encode())
            self.socket.set(zmq.CURVE_SERVERKEY, self._server_key.encode())
        self.monitor = self.socket.get_monitor_socket(EVENTS)
        Bare.get(self.monitor, zmq.EVENTS)  # its descriptor tells of news only after it was found empty
        self.socket.connect(self._address)
        # Within a process there is no handshake to wait for, and nothing that could break.
        self._is_connected = self.has_news = self._address.startswith("inproc:")
        self.is_unsure = True

    def fds(self) -> list[int]:
        """File descriptors that tell of messages and of changes, other ones after ``renew``.

        They tell only of what was not looked at yet: have ``receive`` give out all there is, and ask
        ``has_mail`` after each ``send``.
        """
        return [int(Bare.get(source, zmq.FD)) for source in (self.socket, self.monitor)]

    def has_mail(self) -> bool:
        """Whether a message has come."""
        self.is_unsure = False
        return bool(int(Bare.get(self.socket, zmq.EVENTS)) & READABLE)

    def changes(self) -> Iterator[Change]:
        """What became of the connection since the last look; what came before it broke can still be received."""
        if self.has_news:
            self.has_news = False
            yield Change(is_connected=True)
        for event, *_ in _messages(self.monitor):
            was_connected, (kind, value) = self._is_connected, EVENT.unpack_from(event)
            self._is_connected = kind == zmq.EVENT_HANDSHAKE_SUCCEEDED
            refusal = self._refusal(kind, value)
            if self._is_connected or was_connected or refusal is not None:
                yield Change(self._is_connected, refusal)

    def _refusal(self, kind: int, value: int) -> RagqError | None:
        if kind == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            return Unauthenticated(
                f"{self._address} does not know this key, or not for this use",
                help="'ragq keys list' where the proxy runs tells which keys it lets in",
            )
        if kind == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            return self._mismatch(value)
        return self._silent_failure(kind)

    def _silent_failure(self, kind: int) -> RagqError | None:
        """A proxy with another key hangs up without a word; so does one that dies, but not time after time."""
        if kind == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._num_silent_failures = 0
        elif kind == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            self._num_silent_failures += 1
        if self._credential is None or self._num_silent_failures < MAX_SILENT_FAILURES:
            return None
        self._num_silent_failures = 0
        return Unauthenticated(
            f"{self._address} hangs up on the key of '{self._credential.name}': "
            "it is a proxy of another mesh, or of one without keys",
            help="'ragq keys new' where that proxy runs makes a credential that fits it; "
            "security.enabled has to be the same at both ends",
        )

    def _mismatch(self, value: int) -> RagqError:
        has_keys = self._credential is not None
        return Unauthenticated(
            f"{self._address} and this program do not agree about keys: "
            f"this one {'has' if has_keys else 'has no'} credential (error {value:#x})",
            help="security.enabled has to be the same at both ends, and the credential has to name the proxy's key",
        )

    def renew(self) -> None:
        """Connect afresh; what the broken connection had not sent is gone."""
        self._close(0)
        self._open()

    def send(self, frames: Sequence[bytes | memoryview]) -> bool:
        """Whether a message is on its way; it is not without a connection, nor when too many wait to be sent."""
        if not self._is_connected:
            return False
        self.is_unsure = True
        try:
            for frame in frames[:-1]:
                Bare.send(self.socket, frame, AT_ONCE_MORE)
            Bare.send(self.socket, frames[-1], AT_ONCE)
        except zmq.Again:  # which only the first frame can meet
            return False
        return True

    def receive(self, at_most: int = sys.maxsize) -> Iterator[list[bytes]]:
        """The messages that have come."""
        return _messages(self.socket, at_most)

    def close(self) -> None:
        """Let go of the connection; what was sent goes out within the linger time."""
        self._close(self._linger_ms)

    def _close(self, linger_ms: int) -> None:
        self.socket.disable_monitor()
        self.monitor.close(0)
        self.socket.close(linger_ms)


def readable(sources: Sequence[Any], timeout_ms: int) -> list[Any]:
    """Which of these sockets and file descriptors have something to read, at the latest after a time."""
    return [source for source, _ in zmq.zmq_poll([(source, READABLE) for source in sources], timeout_ms)]


def _messages(socket: zmq.Socket[bytes], at_most: int = sys.maxsize) -> Iterator[list[bytes]]:
    """The messages that have come.

    Asking whether there is one costs half of the exception that says there is none, so that is asked twice;
    after two messages more will be there, and the exception comes once.
    """
    for num in range(at_most):
        if num < ASKED and not int(Bare.get(socket, zmq.EVENTS)) & READABLE:
            return
        try:
            frames = [Bare.recv(socket, AT_ONCE)]
        except zmq.Again:
            return
        while Bare.get(socket, zmq.RCVMORE):
            frames.append(Bare.recv(socket, AT_ONCE))
        yield frames
