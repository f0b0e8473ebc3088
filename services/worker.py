"""How one process serves a service: it takes calls from its proxies, runs handlers in threads, sends what they give."""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import struct
import time
import uuid
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from types import FrameType
from typing import Any

from clients import sockets
from clients.config import Config
from clients.errors import RagqError
from clients.keys import Credential, credential_of
from clients.packing import Buffer
from clients.peer import Peer, readable
from clients.wire import DEFAULT_TTL_MS, Beat, Envelope, Flag, Kind, Ready, decode, read_failure
from services.answering import Answering
from services.handling import Handling
from services.line import OFFER_INTERVAL_S, Line, shares
from services.plugins import load_service
from services.running import Inbox, Key, Outbox, Running
from services.service import Call, Service
from services.threads import Threads

ROUTE_MS = struct.Struct("<I")
MAX_BURST = 100
DRAIN_S = 30.0
LEAVE_S = 1.0
TURN_S = 0.1
log = logging.getLogger("ragq.worker")


class Worker:
    """A worker of one service at its proxies.

    One thread, the one that calls ``run``, owns the sockets; handlers run in others.

    Args:
        addresses: of the back of each proxy.
        slots: calls at a time; 0 leaves it to the service.
        credential: who this worker is; None for a mesh without keys.
    """

    def __init__(
        self,
        service: Service,
        addresses: str | Sequence[str],
        slots: int = 0,
        credential: Credential | None = None,
    ) -> None:
        self.service = service
        self.slots = slots or service.slots
        self._handling = Handling(service)
        self._answering = Answering(self._handling, f"{socket.gethostname()}:{os.getpid()}")
        self._threads = Threads(service.name)
        self._wake = sockets.Wake()
        listed = [addresses] if isinstance(addresses, str) else addresses
        self._lines = [self._line(address, credential) for address in listed]
        self._answers: deque[tuple[Line, Running, Sequence[Buffer]]] = deque()
        self._is_asleep = False
        self._look_at = 0.0
        self._drain_by: float | None = None
        self._ready = Ready(
            uuid=uuid.uuid4().hex, pid=os.getpid(), host=socket.gethostname(), service=service.name,
            methods=self._handling.names, slots=self.slots, started_at=time.time(),
            max_stall_s=service.max_stall_s, version=_version(),
        )  # fmt: skip

    def _line(self, address: str, credential: Credential | None) -> Line:
        server_key = credential.back if credential else ""
        return Line(
            address,
            Peer(address, linger_ms=sockets.LINGER_MS, credential=credential, server_key=server_key, wake=self._wake),
        )

    def stop(self) -> None:
        """Drain: take no new calls, let the ones under way end; a second time: at once."""
        now = time.monotonic()
        self._drain_by = now if self._drain_by is not None else now + DRAIN_S
        self._wake.set()

    def run(self) -> None:
        """Serve until stopped and drained."""
        while not self._is_over():
            self._turn(TURN_S if self._known() else OFFER_INTERVAL_S)
            self._present(time.monotonic())
        self._leave()
        for line in self._lines:
            line.peer.close()
        self._wake.close()

    def _known(self) -> list[Line]:
        return [line for line in self._lines if line.is_known]

    def _num_running(self) -> int:
        return sum([len(line.running) for line in self._lines])

    def _is_over(self) -> bool:
        if self._drain_by is None:
            return False
        known = self._known()
        is_idle = all(line.is_drained and line.is_flushed for line in known) and not self._answers
        return (is_idle and not self._num_running()) or not known or time.monotonic() >= self._drain_by

    def _leave(self) -> None:
        """Say goodbye; the proxy's answer to a last DRAIN proves that it has read every reply."""
        for line in self._known():
            line.ask_to_drain()
        leave_by = time.monotonic() + LEAVE_S
        while not all(line.is_drained for line in self._known()) and time.monotonic() < leave_by:
            self._turn(0.05)
        for line in self._known():
            line.control(Envelope(Kind.BYE, 0))

    # -- one turn --------------------------------------------------------------------------------

    def _turn(self, pause_s: float) -> None:
        ready = self._sleep(pause_s)
        now = time.monotonic()
        for line in self._lines:
            if line.peer.socket in ready:
                self._receive(line)
            if line.peer.monitor in ready or now >= self._look_at:
                line.look(now)
            line.flush()
        if now >= self._look_at:
            self._look_at = now + TURN_S
        self._send_answers()

    def _sleep(self, pause_s: float) -> list[Any]:
        """Wait for messages; a thread that leaves an answer meanwhile ends the wait, and only then has to."""
        sources: list[Any] = [self._wake.reader]
        for line in self._lines:
            sources += (line.peer.socket, line.peer.monitor)
        self._is_asleep = True
        ready = readable(sources, 0 if self._answers else int(pause_s * 1000))
        self._is_asleep = False
        if self._wake.reader in ready:
            self._wake.clear()
        return ready

    def _receive(self, line: Line) -> None:
        for route, *frames in line.peer.receive(at_most=MAX_BURST):
            with suppress(
                RagqError
            ):  # no envelope, no call that could be answered; beats tell the proxy what is missing
                self._heard(line, route, decode(frames[0] if frames else b""), frames[1:])

    def _heard(self, line: Line, route: bytes, envelope: Envelope, buffers: list[Any]) -> None:
        key = (route[: -ROUTE_MS.size], envelope.id)
        match envelope.kind:
            case Kind.CALL if len(route) > ROUTE_MS.size:
                self._start(line, key, route, envelope, buffers)
            case Kind.CANCEL | Kind.CREDIT | Kind.CHUNK | Kind.END:
                if (running := line.running.get(key)) is not None:
                    running.heard(envelope, buffers)
            case Kind.RESET:
                line.is_known = False
            case Kind.DRAIN:
                line.is_drained = True
            case Kind.ERROR if not route:
                line.refused(read_failure(envelope), time.monotonic())
            case Kind.BYE if not line.running:
                line.leave()

    def _start(self, line: Line, key: Key, route: bytes, envelope: Envelope, buffers: list[Any]) -> None:
        if key in line.running:
            return
        if self._num_running() >= self.slots:
            line.peer.send([route, Envelope(Kind.NACK, envelope.id).encode()])
            return
        (waited_ms,) = ROUTE_MS.unpack(route[-ROUTE_MS.size :])
        call = Call(time.monotonic() + ((envelope.ttl_ms or DEFAULT_TTL_MS) - waited_ms) / 1000)
        running = Running(route, envelope.id, call, line.epoch)
        if envelope.flags & Flag.WANTS_STREAM:
            running.outbox = Outbox(envelope.id, call, envelope.seq)
        if envelope.flags & Flag.STREAMS_INPUT:
            running.inbox = Inbox(call, partial(self._grant, line, running))
        line.running[key] = running
        self._threads.start(partial(self._serve, line, key, running, envelope, buffers))

    # -- handlers' threads -----------------------------------------------------------------------

    def _serve(self, line: Line, key: Key, running: Running, envelope: Envelope, buffers: list[Any]) -> None:
        frames = self._answering.frames(running, envelope, buffers, partial(self._answer, line, running))
        if running.epoch is line.epoch:
            line.running.pop(key, None)
        self._answer(line, running, frames)

    def _grant(self, line: Line, running: Running, num_chunks: int) -> None:
        self._answer(line, running, [Envelope(Kind.CREDIT, running.id, seq=num_chunks).encode()])

    def _answer(self, line: Line, running: Running, frames: Sequence[Buffer]) -> None:
        self._answers.append((line, running, frames))
        if self._is_asleep:
            self._wake.set()

    # -- out -------------------------------------------------------------------------------------

    def _send_answers(self) -> None:
        while self._answers:
            line, running, frames = self._answers.popleft()
            line.answer(running, frames)

    def _present(self, now: float) -> None:
        """Beat where this worker is known, offer it where it is not, and ask for an end when it is to stop."""
        for line in self._lines:
            late_s = now - line.due_at
            if late_s < 0:
                continue
            line.tried(now)
            if line.is_known:
                line.beat(self._beat(line, late_s))
            elif self._drain_by is None and not line.is_refused:
                line.offer(self._ready)
        if self._drain_by is None:
            self._share()
        for line in self._known() if self._drain_by is not None else ():
            if not line.is_asked:
                line.ask_to_drain()

    def _share(self) -> None:
        known = self._known()
        for line, slots in zip(known, shares(self.slots, len(known)), strict=True):
            if line.slots != slots:
                line.offer(replace(self._ready, slots=slots))

    def _beat(self, line: Line, late_s: float) -> Beat:
        held = [(running.route, running.id) for running in list(line.running.values())]
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return Beat(held, resident_bytes(), self._handling.note(), late_s, usage.ru_utime + usage.ru_stime)


def resident_bytes() -> int:
    """Resident memory of this process; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - twice a second; a Path costs more than the read
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _version() -> str:
    try:
        return version("ragq")
    except PackageNotFoundError:
        return ""


def run(config: Config, name: str) -> int:
    """Run one worker of a service in the foreground until SIGTERM or SIGINT, which drain it.

    Raises:
        ConfigError: security is on and this machine has no credential for workers.
    """
    section = config.service(name)
    credential = credential_of(config, "worker")
    service = load_service(name, section.module)(config)
    service.start()
    worker = Worker(service, section.backs, section.slots, credential)

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
