"""How messages come in and go out at one ROUTER, frame by frame.

pyzmq's own multipart methods cost several times as much as the frames, so this uses the socket class in C below them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import zmq
from zmq.backend import Socket as Bare

from clients import sockets
from clients.errors import RagqError
from proxies.door import Door

NOBLOCK = int(zmq.NOBLOCK)
READABLE = int(zmq.POLLIN)
MORE = int(zmq.NOBLOCK | zmq.SNDMORE)
KEEP_BYTES = 128 << 10
MAX_FRAMES = 72
MAX_PRINCIPALS = 10_000
NOT_TAKEN = (zmq.EHOSTUNREACH, zmq.EAGAIN)


class Port:
    """A bound ROUTER, and the monitor that tells when a peer was lost.

    Args:
        address: where to listen.
        secret_key: own key, in a mesh with keys.
        domain: what kind of peers may come, in a mesh with keys.
        is_successor: whether a proxy that leaves still has this address.

    Attributes:
        socket: to poll.
        monitor: readable when a peer was lost; a hint, never the truth.
        principal: public key of whoever sent the last message; '' without keys.
        is_full: whether the last message that was not taken was for one that is there, but reads too slowly.
        has_mail: whether a message was there when last asked.
        is_unsure: whether it was used since, so that one may have come unnoticed.
    """

    def __init__(self, address: str, secret_key: str = "", domain: str = "", *, is_successor: bool = False) -> None:
        self._door = Door(address, is_successor=is_successor)
        try:
            self.socket = sockets.router(address, secret_key=secret_key, domain=domain, fd=self._door.fd)
        except RagqError:
            self._door.close()
            raise
        self.monitor = sockets.disconnections(self.socket)
        self.principal = ""
        self.is_full = False
        self.has_mail, self.is_unsure = False, True
        self._has_keys = bool(secret_key)
        self._principals: dict[bytes, str] = {}
        self._take = Bare.recv.__get__(self.socket)
        self._put = Bare.send.__get__(self.socket)
        self._get = Bare.get.__get__(self.socket)

    def ask(self) -> bool:
        """Whether a message is there."""
        self.is_unsure = False
        self.has_mail = bool(int(self._get(zmq.EVENTS)) & READABLE)
        return self.has_mail

    def receive(self) -> list[Any] | None:
        """The next message, its peer's routing id first, or None; small frames as bytes, large ones not copied."""
        take = self._take
        try:
            frames = [take(NOBLOCK)]
        except zmq.Again:
            self.has_mail = self.is_unsure = False
            return None
        self.is_unsure = True
        while True:
            frame = take(NOBLOCK, copy=False)  # only a Frame tells at little cost whether more follow
            if len(frames) < MAX_FRAMES:
                frames.append(frame.bytes if len(frame) < KEEP_BYTES else frame)
            if not frame.more:
                if self._has_keys:
                    self._recognise(frames[0], frame)
                return frames

    def _recognise(self, routing_id: bytes, frame: Any) -> None:
        """Remember with which key a peer came; a connection keeps its key."""
        principal = self._principals.get(routing_id)
        if principal is None:
            if len(self._principals) >= MAX_PRINCIPALS:
                self._principals.clear()
            principal = self._principals[routing_id] = _user_id(frame)
        self.principal = principal

    def send(self, frames: Sequence[Any]) -> bool:
        """Whether the peer whose routing id comes first took it; one that is gone, or reads too slowly, did not.

        Only the first frame can fail. When the peer leaves after it, the others go nowhere without a word.
        """
        put = self._put
        self.is_unsure = True
        try:
            for frame in frames[:-1]:
                put(frame, MORE)
            put(frames[-1], NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno in NOT_TAKEN:
                self.is_full = error.errno == zmq.EAGAIN
                return False
            raise
        return True

    def hear_monitor(self) -> None:
        """Take what the monitor has to say."""
        while self.monitor.poll(0):
            self.monitor.recv_multipart()

    def leave(self) -> None:
        """Let no more peers in; those that are connected stay, and a successor may listen at the same address."""
        self._door.leave()

    def close(self) -> None:
        """Close the door, the monitor, then the socket."""
        self._door.close()
        sockets.close_monitored(self.socket, self.monitor)


def _user_id(frame: Any) -> str:
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""
