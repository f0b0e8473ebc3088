"""Where a proxy listens, so that the next one can listen at the same address while this one still ends.

libzmq ends every connection of a listener together with it. So a proxy that leaves keeps its listening socket, but lets
the kernel drop whoever knocks, and allows a successor to bind the same port beside it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path

from clients.endpoint import Endpoint
from clients.errors import ConfigError, PortBusy, RagqError
from clients.sockets import answers

BACKLOG = 128
RETURN_NUMBER = 0x06
SO_ATTACH_FILTER = 26
SO_ATTACH_REUSEPORT_CBPF = 51
NOBODY = -1


class Door:
    """A listening socket for one ROUTER.

    Args:
        address: tcp or ipc; for others, or a name that only libzmq knows, it is no door, and ``fd`` stays negative.
        is_successor: whether a proxy that leaves still has the same address.

    Attributes:
        fd: for libzmq, which closes it; negative if libzmq is to listen itself.

    Raises:
        PortBusy: another process listens there, and does not leave.
    """

    def __init__(self, address: str, *, is_successor: bool = False) -> None:
        self._address, self._is_successor = address, is_successor
        self._path: Path | None = None
        self._inode = 0
        self._socket = self._open()
        self.fd = os.dup(self._socket.fileno()) if self._socket else NOBODY

    def _open(self) -> socket.socket | None:
        if self._address.startswith("ipc://") and hasattr(socket, "AF_UNIX"):
            return self._listen_at_path(Path(self._address.removeprefix("ipc://")))
        if self._address.startswith("tcp://") and hasattr(socket, "SO_REUSEPORT"):
            return self._listen_at_port()
        return None

    def _listen_at_port(self) -> socket.socket | None:
        try:
            endpoint = Endpoint.parse(self._address)
            host = None if endpoint.host == "*" else endpoint.host.strip("[]")
            family = socket.AF_INET6 if endpoint.host.startswith("[") else socket.AF_INET
            found = socket.getaddrinfo(host, endpoint.port, family, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)
        except (ConfigError, OSError):
            return None
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._is_successor:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._listen(listener, found[0][4])
        if self._is_successor:
            _attach(listener, SO_ATTACH_REUSEPORT_CBPF, 1)  # who knocks from now on comes to the second: to us
        return listener

    def _listen_at_path(self, path: Path) -> socket.socket:
        if not self._is_successor and answers(str(path)):
            raise PortBusy(self._address)
        path.unlink(missing_ok=True)  # a crash, or the one before us, left it behind
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listen(listener, str(path))
        self._path, self._inode = path, path.stat().st_ino
        return listener

    def _listen(self, listener: socket.socket, where: object) -> None:
        try:
            listener.bind(where)  # type: ignore[arg-type]  # the stub leaves out what getaddrinfo gives
            listener.listen(BACKLOG)
            listener.settimeout(0)
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE:
                raise PortBusy(self._address) from None
            raise RagqError(f"cannot listen at {self._address}: {error}") from None

    def leave(self) -> None:
        """Let nobody in any more, and allow a successor to listen here."""
        if self._socket is not None and self._path is None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            _attach(self._socket, SO_ATTACH_FILTER, 0)

    def close(self) -> None:
        """Stop listening; a socket file that a successor has made stays."""
        if self._socket is None:
            return
        self._socket.close()
        with suppress(OSError):
            if self._path is not None and self._path.stat().st_ino == self._inode:
                self._path.unlink()


def _attach(listener: socket.socket, option: int, number: int) -> None:
    """Give Linux a filter program of one instruction, which returns a number; elsewhere there is no such option."""
    program = ctypes.create_string_buffer(struct.pack("HBBI", RETURN_NUMBER, 0, 0, number), 8)
    with suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, option, struct.pack("HP", 1, ctypes.addressof(program)))
