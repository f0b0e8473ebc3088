"""Calls to a proxy with as little as possible around them: ``python -m benchmarks.rigs.raw_load FRONT``.

The C proxy and ours get the same frames: one with the envelope and a small body, or the envelope and
a buffer frame from 128 KiB on.
"""

from __future__ import annotations

import random
import struct
import sys
import time

import numpy as np
import zmq

from benchmarks.rigs.load import IN_FLIGHT, Case, obey
from clients import sockets
from clients.wire import Envelope, Flag, Kind, method_key

ID = struct.Struct("<Q")
ID_AT = 8
BUFFER_BYTES = 128 << 10
RATE = 200.0
PATIENCE_MS = 20_000
Socket = zmq.Socket[bytes]


class Calls:
    """Makes the frames of one call after the other."""

    def __init__(self, socket: Socket, size: int) -> None:
        self._socket = socket
        is_small = size < BUFFER_BYTES
        head = Envelope(
            Kind.CALL, 0, Flag.IDEMPOTENT, ttl_ms=60_000, method=method_key("bench.echo"),
            body=bytes(size) if is_small else b"", num_buffers=0 if is_small else 1,
        ).encode()  # fmt: skip
        self._before, self._after = head[:ID_AT], head[ID_AT + ID.size :]
        self._buffers = [] if is_small else [bytes(size)]
        self._next = time.time_ns()

    def send(self) -> int:
        """Send one call; its id."""
        self._next += 1
        self._socket.send_multipart([self._before + ID.pack(self._next) + self._after, *self._buffers])
        return self._next

    def receive(self) -> int:
        """Wait for an answer; the id of its call."""
        while True:
            try:
                frames = self._socket.recv_multipart()
            except zmq.Again:
                raise RuntimeError(f"a call was not answered within {PATIENCE_MS} ms") from None
            if frames[0][3] == Kind.REPLY:
                return int(ID.unpack_from(frames[0], ID_AT)[0])
            if frames[0][3] == Kind.ERROR:
                raise RuntimeError(f"the proxy refused a call: {frames[0][32:]!r}")


def closed(socket: Socket, size: int, in_flight: int) -> Case:
    """A new call for each answer."""

    def run(seconds: float) -> dict[str, float]:
        calls = Calls(socket, size)
        began = time.perf_counter()
        for _ in range(in_flight):
            calls.send()
        count = 0
        while time.perf_counter() < began + seconds:
            calls.receive()
            calls.send()
            count += 1
        for _ in range(in_flight):
            calls.receive()
        return {"calls": count + in_flight, "seconds": time.perf_counter() - began}

    return run


def arrivals(socket: Socket) -> Case:
    """Calls that come at random, 200 a second on average, whether earlier ones are answered or not."""

    def run(seconds: float) -> dict[str, float]:
        calls, randomly = Calls(socket, 100), random.Random(7)
        began = time.perf_counter()
        due, sent, took = began, dict[int, float](), list[float]()
        while due < began + seconds or sent:
            now = time.perf_counter()
            if due <= now and due < began + seconds:
                sent[calls.send()] = due
                due += randomly.expovariate(RATE)
            elif socket.poll(max(0.0, min(100.0, (due - now) * 1000)) if due < began + seconds else 100):
                took.append(time.perf_counter() - sent.pop(calls.receive()))
            if now > began + seconds * 4 + 5:
                break
        late = [time.perf_counter() - moment for moment in sent.values()]
        p50, p99 = np.percentile(took + late, [50, 99])
        return {"calls": len(took), "seconds": seconds, "p50_s": float(p50), "p99_s": float(p99)}

    return run


def fill(socket: Socket) -> Case:
    """Ten thousand calls of 1 KB, and no wait for an answer."""

    def run(seconds: float) -> dict[str, float]:
        calls = Calls(socket, 1000)
        for _ in range(10_000):
            calls.send()
        time.sleep(seconds)
        return {"calls": 10_000, "seconds": seconds}

    return run


def main(front: str) -> None:
    socket = sockets.opened(zmq.DEALER, 0)
    socket.set(zmq.SNDHWM, 0)
    socket.set(zmq.RCVTIMEO, PATIENCE_MS)
    socket.connect(front)
    sizes = {"100 B": 100, "10 KB": 10 << 10, "128 KB": 128 << 10}
    windows = {f"{name}, 64 in flight": closed(socket, size, IN_FLIGHT) for name, size in sizes.items()}
    windows["1 MiB, 8 in flight"] = closed(socket, 1 << 20, 8)
    obey({"100 B, 1 in flight": closed(socket, 100, 1), **windows, "200/s": arrivals(socket), "fill": fill(socket)})


if __name__ == "__main__":
    main(sys.argv[1])
