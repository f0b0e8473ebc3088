"""How one process serves a service: it takes calls from its proxy, runs handlers in threads, sends what they give."""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
import time
import uuid
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import Any

from clients import sockets
from clients.config import Config
from clients.errors import RagqError
from clients.packing import pack
from clients.peer import Peer
from clients.wire import (
    BEAT_INTERVAL_S,
    DEFAULT_TTL_MS,
    Beat,
    Envelope,
    Flag,
    Kind,
    Ready,
    decode,
    failure_envelope,
    message,
)
from services.handling import Emit, Handling
from services.plugins import load_service
from services.service import Call, Service
from services.threads import Threads

Key = tuple[bytes, int]
ROUTE_MS = struct.Struct("<I")
MAX_CREDIT = 1024
OFFER_INTERVAL_S = 0.05


@dataclass(slots=True)
class Running:
    """A call that this worker holds; ``credit`` counts the chunks that its client can take."""

    route: bytes
    id: int
    call: Call
    credit: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    num_chunks: int = 0


class Worker:
    """A worker of one service at one proxy.

    One thread, the one that calls ``run``, owns the socket; handlers run in others.
    """

    def __init__(self, service: Service, address: str, slots: int = 0) -> None:
        self.service = service
        self.slots = slots or service.slots
        self._handling = Handling(service)
        self._threads = Threads(service.name)
        self._peer = Peer(address, linger_ms=sockets.LINGER_MS)
        self._outbox: deque[list[Any]] = deque()
        self._running: dict[Key, Running] = {}
        self._ready = Ready(
            uuid=uuid.uuid4().hex, pid=os.getpid(), host=socket.gethostname(), service=service.name,
            methods=self._handling.names, slots=self.slots, started_at=time.time(),
        )  # fmt: skip
        self._is_known = False
        self._beat_at = 0.0
        self._drain_by: float | None = None
        self._is_drained = False

    def stop(self) -> None:
        """Drain: take no new calls, let the ones under way end; a second time: at once."""
        now = time.monotonic()
        self._drain_by = now if self._drain_by is not None else now + 30.0
        self._peer.wake.set()

    def run(self) -> None:
        """Serve until stopped and drained."""
        asked = False
        while not self._is_over():
            if self._peer.wait(self._pause_ms()):
                self._receive()
            self._check_connection()
            self._flush()
            self._beat(time.monotonic())
            if self._drain_by is not None and not asked:
                asked = self._control(Envelope(Kind.DRAIN, 0))
        self._leave()
        self._peer.close()

    def _is_over(self) -> bool:
        if self._drain_by is None:
            return False
        idle = self._is_drained and not self._running and not self._outbox
        return idle or time.monotonic() >= self._drain_by or not self._is_known

    def _pause_ms(self) -> int:
        return int((BEAT_INTERVAL_S / 5 if self._is_known else OFFER_INTERVAL_S) * 1000)

    def _leave(self) -> None:
        """Say goodbye; the proxy's answer to a last DRAIN proves that it has read every reply."""
        self._is_drained = not (self._is_known and self._control(Envelope(Kind.DRAIN, 0)))
        leave_by = time.monotonic() + 1.0
        while self._is_known and not self._is_drained and time.monotonic() < leave_by:
            self._peer.wait(50)
            self._receive()
            self._check_connection()
        self._control(Envelope(Kind.BYE, 0))

    # -- in --------------------------------------------------------------------------------------

    def _receive(self) -> None:
        for route, *frames in self._peer.receive(at_most=100):
            with suppress(RagqError):  # a frame that is no envelope names no call that could be answered
                self._heard(route, decode(frames[0] if frames else b""), frames[1:])

    def _check_connection(self) -> None:
        if self._peer.has_broken():
            self._is_known = False  # calls that were on their way are the proxy's to give away again
            self._peer.renew()

    def _heard(self, route: bytes, envelope: Envelope, buffers: list[Any]) -> None:
        match envelope.kind:
            case Kind.CALL if len(route) > ROUTE_MS.size:
                self._start(route, envelope, buffers)
            case Kind.CANCEL:
                if (running := self._running.get((route[: -ROUTE_MS.size], envelope.id))) is not None:
                    running.call.cancelled.set()
                    running.credit.release()
            case Kind.CREDIT:
                if (running := self._running.get((route[: -ROUTE_MS.size], envelope.id))) is not None:
                    running.credit.release(min(envelope.seq, MAX_CREDIT) or 1)
            case Kind.RESET:
                self._is_known = False
            case Kind.DRAIN:
                self._is_drained = True

    def _start(self, route: bytes, envelope: Envelope, buffers: list[Any]) -> None:
        (waited_ms,) = ROUTE_MS.unpack(route[-ROUTE_MS.size :])
        left_s = ((envelope.ttl_ms or DEFAULT_TTL_MS) - waited_ms) / 1000
        running = Running(route, envelope.id, Call(time.monotonic() + left_s))
        running.credit.release(min(envelope.seq, MAX_CREDIT) or 1)
        self._running[route[: -ROUTE_MS.size], envelope.id] = running
        self._threads.start(lambda: self._serve(running, envelope, buffers))

    # -- handlers' threads -----------------------------------------------------------------------

    def _serve(self, running: Running, envelope: Envelope, buffers: list[Any]) -> None:
        if envelope.flags & Flag.LEGACY:
            reply = self._handling.legacy(b"".join(bytes(b) for b in buffers), running.call)
            frames = [Envelope(Kind.REPLY, running.id, num_buffers=1).encode(), reply]
        else:
            frames = self._frames_of(running, envelope, buffers)
        self._end(running, frames)

    def _frames_of(self, running: Running, envelope: Envelope, buffers: list[Any]) -> list[Any]:
        try:
            outcome = self._handling.serve(envelope, buffers, running.call, self._emitter(running, envelope))
            if envelope.flags & Flag.WANTS_STREAM:
                return list(message(Envelope(Kind.END, running.id, seq=running.num_chunks), outcome))
            return list(message(Envelope(Kind.REPLY, running.id), outcome))
        except RagqError as error:
            return [failure_envelope(running.id, error, "worker").encode()]

    def _emitter(self, running: Running, envelope: Envelope) -> Emit:
        if envelope.flags & Flag.WANTS_STREAM:
            return partial(self._emit, running)
        return lambda _event: running.call.check()

    def _emit(self, running: Running, event: object) -> None:
        while not running.credit.acquire(timeout=min(1.0, running.call.remaining_s)):
            running.call.check()
        running.call.check()
        self._send(running.route, list(message(Envelope(Kind.CHUNK, running.id, seq=running.num_chunks), pack(event))))
        running.num_chunks += 1

    def _end(self, running: Running, frames: list[Any]) -> None:
        self._running.pop((running.route[: -ROUTE_MS.size], running.id), None)
        self._send(running.route, frames)

    def _send(self, route: bytes, frames: list[Any]) -> None:
        self._outbox.append([route, *frames])
        self._peer.wake.set()

    # -- out -------------------------------------------------------------------------------------

    def _flush(self) -> None:
        while self._outbox:
            if not self._peer.send(self._outbox[0]):
                return
            self._outbox.popleft()

    def _beat(self, now: float) -> None:
        if now - self._beat_at < (BEAT_INTERVAL_S if self._is_known else OFFER_INTERVAL_S):
            return
        self._beat_at = now
        if not self._is_known:
            self._is_known = self._control(Envelope(Kind.READY, 0, body=pack(self._ready).body))
        else:
            held = [(r.route, r.id) for r in list(self._running.values())]
            beat = Beat(held, resident_bytes(), self._handling.note())
            self._is_known = self._control(Envelope(Kind.BEAT, 0, body=pack(beat).body))

    def _control(self, envelope: Envelope) -> bool:
        return self._peer.send([b"", envelope.encode()])


def resident_bytes() -> int:
    """Resident memory of this process; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - twice a second; a Path costs more than the read
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def run(config: Config, name: str) -> int:
    """Run one worker of a service in the foreground until SIGTERM or SIGINT, which drain it."""
    section = config.service(name)
    service = load_service(name, section.module)(config)
    service.start()
    worker = Worker(service, section.back_end.address, section.slots)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        worker.stop()

    with suppress(ValueError):  # signals belong to the main thread; a test may run a worker in another
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
    try:
        worker.run()
    finally:
        service.stop()
    return 0
