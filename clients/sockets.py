"""The only place that opens sockets and sets their options."""

from __future__ import annotations

import contextlib
import os
import struct
import sys
import threading
from collections.abc import Iterator, Sequence

import zmq

from .errors import PortBusy, RagqError

HEARTBEAT_MS = 500
HEARTBEAT_TIMEOUT_MS = 1500
MAX_MESSAGE_BYTES = 4 << 20
LINGER_MS = 1000
EVENT = struct.Struct("=H")

_lock = threading.Lock()
_contexts: dict[int, zmq.Context[zmq.Socket[bytes]]] = {}


def context() -> zmq.Context[zmq.Socket[bytes]]:
    """This process's context; a forked child gets its own and never touches its parent's."""
    pid = os.getpid()
    with _lock:
        if pid not in _contexts:
            _contexts[pid] = zmq.Context()
        return _contexts[pid]


def router(address: str) -> zmq.Socket[bytes]:
    """A ROUTER bound to ``address`` that reports peers it cannot reach.

    Raises:
        PortBusy: another process listens there.
        RagqError: the address cannot be bound.
    """
    socket = _socket(zmq.ROUTER, linger_ms=LINGER_MS)
    socket.set(zmq.ROUTER_MANDATORY, 1)
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        socket.close(0)
        if error.errno == zmq.EADDRINUSE:
            raise PortBusy(address) from None
        raise RagqError(f"cannot listen at {address}: {error}") from None
    return socket


def disconnections(socket: zmq.Socket[bytes]) -> zmq.Socket[bytes]:
    """A socket that becomes readable when a peer of ``socket`` is lost; a hint, never the truth."""
    return socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)


def close_monitored(socket: zmq.Socket[bytes], monitor: zmq.Socket[bytes]) -> None:
    """Close a socket and its monitor, monitor first."""
    socket.disable_monitor()
    monitor.close(0)
    socket.close()


def finish() -> None:
    """Wait until what was sent has left this process; the last thing that a process does with its sockets."""
    closing = threading.Thread(target=context().term, daemon=True)
    closing.start()
    closing.join(LINGER_MS / 1000 + 0.5)


def _socket(kind: int, linger_ms: int) -> zmq.Socket[bytes]:
    socket = context().socket(kind)
    socket.set(zmq.LINGER, linger_ms)
    socket.set(zmq.RCVHWM, 0)
    socket.set(zmq.SNDHWM, 1000)
    socket.set(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.set(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
    socket.set(zmq.HANDSHAKE_IVL, 5000)
    socket.set(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
    socket.set(zmq.TCP_KEEPALIVE, 1)
    return socket


def _new_lock() -> None:
    """A fork while another thread held the lock would leave it locked in the child for ever."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_new_lock)


class Wake:
    """A pipe that lets any thread wake the one that polls sockets.

    Attributes:
        reader: the file descriptor to poll.
    """

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self._writer, False)
        self._is_signalled = False
        self._is_closed = False
        self._lock = threading.RLock()  # a signal handler may wake the very thread that is closing

    def set(self) -> None:
        """Wake the poller; cheap when it is awake already, without effect when it is gone."""
        if self._is_signalled:
            return
        with self._lock:
            if not self._is_closed:
                self._is_signalled = True
                os.write(self._writer, b"\0")

    def clear(self) -> None:
        """Called by the poller before it looks at what others left for it.

        The byte goes first and the mark second: a setter in between leaves no byte, but what it
        left is seen, because the poller looks after this.
        """
        with contextlib.suppress(BlockingIOError):
            os.read(self.reader, 64)
        self._is_signalled = False

    def close(self) -> None:
        """Close both ends; the lock keeps a late setter from writing to a descriptor that others use by now."""
        with self._lock:
            self._is_closed = True
            os.close(self.reader)
            os.close(self._writer)


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
        self._socket = _socket(zmq.DEALER, self._linger_ms)
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
