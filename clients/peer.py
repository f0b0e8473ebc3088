"""How one thread talks to the ROUTER at an address: what it sends while connected, and when the connection broke."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Sequence

import zmq

from .sockets import Wake, opened

EVENT = struct.Struct("=H")


class Peer:
    """A DEALER's connection to the one ROUTER at an address; one thread at a time uses it.

    It sends only while connected, and forgets with the connection what was not sent: a call must not
    run long after its caller was told that it failed. libzmq's own way to that end, IMMEDIATE, aborts
    the process when the connection breaks between two frames that are being read (4.3.5, fq.cpp).
    There is no high-water mark on the receive side, because together with ZMTP heartbeats one aborts
    the process too.

    Attributes:
        wake: lets other threads end a ``wait``.
    """

    def __init__(self, address: str, *, linger_ms: int = 100) -> None:
        self.wake = Wake()
        self._address, self._linger_ms = address, linger_ms
        self._open()

    def _open(self) -> None:
        self._socket = opened(zmq.DEALER, self._linger_ms)
        self._socket.set(zmq.RECONNECT_IVL, 50)
        self._socket.set(zmq.RECONNECT_IVL_MAX, 1000)
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self._socket.connect(self._address)
        # Within a process there is no handshake to wait for, and nothing that could break.
        self._has_changed = False
        self._is_connected = self._address.startswith("inproc:")
        self._poller = zmq.Poller()
        for source in (self._socket, self._monitor, self.wake.reader):
            self._poller.register(source, zmq.POLLIN)

    def wait(self, timeout_ms: int) -> bool:
        """Until something came, the connection changed, or another thread woke this one; whether a message came."""
        ready = dict(self._poller.poll(timeout_ms))
        self._has_changed = self._monitor in ready
        if self.wake.reader in ready:
            self.wake.clear()
        return self._socket in ready

    def has_broken(self) -> bool:
        """Whether the connection broke since the last look; what came over it can still be received."""
        if not self._has_changed:
            return False
        self._has_changed = False
        for event, _ in _messages(self._monitor):
            was_connected, (kind,) = self._is_connected, EVENT.unpack_from(event)
            self._is_connected = kind == zmq.EVENT_HANDSHAKE_SUCCEEDED
            if was_connected and not self._is_connected:
                return True
        return False

    def renew(self) -> None:
        """Connect afresh; what the broken connection had not sent is gone."""
        self._close(0)
        self._open()

    def send(self, frames: Sequence[bytes | memoryview]) -> bool:
        """Whether a message is on its way; it is not without a connection, nor when too many wait to be sent."""
        if not self._is_connected:
            return False
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def receive(self, at_most: int = sys.maxsize) -> Iterator[list[bytes]]:
        """The messages that have come."""
        return _messages(self._socket, at_most)

    def close(self) -> None:
        """Let go of the connection; what was sent goes out within the linger time."""
        self._close(self._linger_ms)
        self.wake.close()

    def _close(self, linger_ms: int) -> None:
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(linger_ms)


def _messages(socket: zmq.Socket[bytes], at_most: int = sys.maxsize) -> Iterator[list[bytes]]:
    for _ in range(at_most):
        try:
            yield socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return
