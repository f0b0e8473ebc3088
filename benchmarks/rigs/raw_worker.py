"""A worker with as little as possible around it: ``python -m benchmarks.rigs.raw_worker BACK [DELAY_MS] [NUM]``.

It says READY and BEAT, which the C proxy hands to a client that does not exist; so with ``--silent``
it does not. One call at a time takes the delay; ``NUM`` workers share the process.
"""

from __future__ import annotations

import argparse
import os
import time
import uuid
from collections import deque

import zmq

from clients import sockets
from clients.greetings import Beat, Ready
from clients.packing import pack
from clients.wire import BEAT_INTERVAL_S, Envelope, Kind

SLOTS = 2
FAST_SLOTS = 64
REPLY = bytes([Kind.REPLY])


class Worker:
    """One DEALER, and the calls that it holds."""

    def __init__(self, back: str, delay_s: float, *, is_silent: bool) -> None:
        self.socket = sockets.opened(zmq.DEALER, 0)
        self.socket.connect(back)
        self._delay_s, self._is_silent = delay_s, is_silent
        self._held: deque[tuple[float, list[bytes]]] = deque()
        self._free_at = self._beat_at = 0.0
        self._is_known = False

    def turn(self, now: float) -> None:
        """Take what came, answer what is due, beat."""
        for _ in range(100):
            try:
                self._take(self.socket.recv_multipart(zmq.NOBLOCK), now)
            except zmq.Again:
                break
        while self._held and self._held[0][0] <= now:
            self._answer(self._held.popleft()[1])
        if not self._is_silent and now >= self._beat_at:
            self._beat(now)

    def next_at(self) -> float:
        """When it has something to do though nothing came."""
        due = self._held[0][0] if self._held else float("inf")
        return due if self._is_silent else min(due, self._beat_at)

    def _take(self, frames: list[bytes], now: float) -> None:
        kind = frames[1][3]
        if kind == Kind.RESET:
            self._is_known, self._beat_at = False, 0.0
        elif kind == Kind.CALL and not self._delay_s:
            self._answer(frames)
        elif kind == Kind.CALL:
            self._free_at = max(now, self._free_at) + self._delay_s
            self._held.append((self._free_at, frames))

    def _answer(self, frames: list[bytes]) -> None:
        frames[1] = frames[1][:3] + REPLY + frames[1][4:]
        self.socket.send_multipart(frames)

    def _beat(self, now: float) -> None:
        self._beat_at = now + BEAT_INTERVAL_S
        if self._is_known:
            held = [(frames[0], int.from_bytes(frames[1][8:16], "little")) for _, frames in self._held]
            envelope = Envelope(Kind.BEAT, 0, body=pack(Beat(held)).body)
        else:
            envelope = Envelope(Kind.READY, 0, body=pack(self._ready()).body)
            self._is_known = True
        self.socket.send_multipart([b"", envelope.encode()])

    def _ready(self) -> Ready:
        slots = SLOTS if self._delay_s else FAST_SLOTS
        return Ready(uuid.uuid4().hex, os.getpid(), "here", "bench", ["bench.echo"], slots)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("back")
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--number", type=int, default=1)
    parser.add_argument("--silent", action="store_true")
    given = parser.parse_args()
    workers = [Worker(given.back, given.delay_ms / 1000, is_silent=given.silent) for _ in range(given.number)]
    poller = zmq.Poller()
    for worker in workers:
        poller.register(worker.socket, zmq.POLLIN)
    while True:
        pause_s = min(worker.next_at() for worker in workers) - time.monotonic()
        poller.poll(max(0, min(500, int(pause_s * 1000) + 1)) if pause_s < 500 else 500)
        for worker in workers:
            worker.turn(time.monotonic())


if __name__ == "__main__":
    main()
