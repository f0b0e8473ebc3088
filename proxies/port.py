"""How messages come in and go out at one ROUTER, frame by frame.

pyzmq's own multipart methods cost several times as much as the frames, so this uses the socket class in C below them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import zmq
from zmq.backend import Socket as Bare

from clients import sockets

NOBLOCK = int(zmq.NOBLOCK)
MORE = int(zmq.NOBLOCK | zmq.SNDMORE)
KEEP_BYTES = 128 << 10
MAX_FRAMES = 72
MAX_PRINCIPALS = 10_000
NOT_TAKEN = (zmq.EHOSTUNREACH, zmq.EAGAIN)


class Port:
    """A bound ROUTER, and the monitor that tells when a peer was lost.

    Attributes:
        socket: to poll.
        monitor: readable when a peer was lost; a hint, never the truth.
        principal: public key of whoever sent the last message; '' without keys.
    """

    def __init__(self, address: str, secret_key: str = "", domain: str = "") -> None:
        self.socket = sockets.router(address, secret_key=secret_key, domain=domain)
        self.monitor = sockets.disconnections(self.socket)
        self.principal = ""
        self._has_keys = bool(secret_key)
        self._principals: dict[bytes, str] = {}
        self._take = Bare.recv.__get__(self.socket)
        self._put = Bare.send.__get__(self.socket)

    def receive(self) -> list[Any] | None:
        """The next message, its peer's routing id first, or None; small frames as bytes, large ones not copied."""
        take = self._take
        try:
            frames = [take(NOBLOCK)]
        except zmq.Again:
            return None
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
        try:
            for frame in frames[:-1]:
                put(frame, MORE)
            put(frames[-1], NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno in NOT_TAKEN:
                return False
            raise
        return True

    def hear_monitor(self) -> None:
        """Take what the monitor has to say."""
        while self.monitor.poll(0):
            self.monitor.recv_multipart()

    def close(self) -> None:
        """Close the monitor, then the socket."""
        sockets.close_monitored(self.socket, self.monitor)


def _user_id(frame: Any) -> str:
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""
