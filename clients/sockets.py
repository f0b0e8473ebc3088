"""The only place that opens sockets and sets their options."""

from __future__ import annotations

import contextlib
import os
import socket as plain_sockets
import threading

import zmq

from .errors import PortBusy, RagqError

HEARTBEAT_MS = 500
HEARTBEAT_TIMEOUT_MS = 1500
MAX_MESSAGE_BYTES = 4 << 20
LINGER_MS = 1000
CONNECT_TIMEOUT_MS = 1500

_lock = threading.Lock()
_contexts: dict[int, zmq.Context[zmq.Socket[bytes]]] = {}


def context() -> zmq.Context[zmq.Socket[bytes]]:
    """This process's context; a forked child gets its own and never touches its parent's."""
    pid = os.getpid()
    with _lock:
        if pid not in _contexts:
            _contexts[pid] = zmq.Context()
        return _contexts[pid]


def router(address: str, *, secret_key: str = "", domain: str = "", fd: int = -1) -> zmq.Socket[bytes]:
    """A ROUTER bound to ``address`` that reports peers it cannot reach.

    Args:
        address: where to listen.
        secret_key: its own CURVE key, Z85; with one, only encrypted connections are made, after the ``authenticator``
            of this process has agreed.
        domain: what the authenticator is told about the kind of peers.
        fd: of a socket that listens there already; libzmq closes it.

    Raises:
        PortBusy: another process listens there.
        RagqError: the address cannot be bound.
    """
    if fd < 0 and address.startswith("ipc://") and answers(address.removeprefix("ipc://")):
        raise PortBusy(address)
    socket = opened(zmq.ROUTER, linger_ms=LINGER_MS)
    socket.set(zmq.ROUTER_MANDATORY, 1)
    if fd >= 0:
        socket.set(zmq.USE_FD, fd)
    if secret_key:
        socket.set(zmq.CURVE_SERVER, 1)
        socket.set(zmq.CURVE_SECRETKEY, secret_key.encode("ascii"))
        socket.set(zmq.ZAP_DOMAIN, domain.encode("ascii"))
        socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without an authenticator nobody gets in, instead of everybody
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        socket.close(0)
        if error.errno == zmq.EADDRINUSE:
            raise PortBusy(address) from None
        raise RagqError(f"cannot listen at {address}: {error}") from None
    return socket


def authenticator() -> zmq.Socket[bytes]:
    """The socket at which libzmq asks, for this whole process, whether a connection may be made (ZAP).

    Raises:
        PortBusy: another proxy with keys runs in this process.
    """
    address = "inproc://zeromq.zap.01"
    socket = opened(zmq.REP, linger_ms=0)
    try:
        socket.bind(address)
    except zmq.ZMQError:
        socket.close(0)
        raise PortBusy(address) from None
    return socket


def answers(path: str) -> bool:
    """Whether somebody listens at a socket file; one that a crash left behind is silent, and libzmq replaces it.

    libzmq would replace one that is in use, too, and its owner would never hear of anybody again.
    """
    with plain_sockets.socket(plain_sockets.AF_UNIX, plain_sockets.SOCK_STREAM) as trial:
        trial.settimeout(1.0)
        try:
            trial.connect(path)
        except OSError:
            return False
    return True


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


def opened(kind: int, linger_ms: int) -> zmq.Socket[bytes]:
    """A socket with the options that every socket of the mesh has; neither bound nor connected."""
    socket = context().socket(kind)
    socket.set(zmq.LINGER, linger_ms)
    socket.set(zmq.RCVHWM, 0)
    socket.set(zmq.SNDHWM, 1000)
    socket.set(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.set(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
    socket.set(zmq.HANDSHAKE_IVL, 5000)
    socket.set(zmq.CONNECT_TIMEOUT, CONNECT_TIMEOUT_MS)
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
