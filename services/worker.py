"""How one process serves a service: it takes calls from its proxies, runs handlers in threads, sends what they give."""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from types import FrameType
from typing import Any

from clients.config import Config
from clients.errors import BadRequest, RagqError
from clients.frames import Buffer
from clients.greetings import Beat, Ready
from clients.keys import Credential, credential_of
from clients.memory import resident_bytes
from clients.wire import BEAT_INTERVAL_S, DEFAULT_TTL_MS, Envelope, Flag, Kind, decode, read_failure
from services.answering import Answering
from services.handling import Handling
from services.line import Line, Session
from services.plugins import load_service
from services.running import Inbox, Key, Outbox, Running
from services.service import Call, Service
from services.shares import share
from services.threads import Threads
from services.watch import Watch

ROUTE_MS = struct.Struct("<I")
DRAIN_S = 30.0
LEAVE_S = 1.0


class Worker:
    """A worker of one service at all its proxies.

    One thread, the one that calls ``run``, hears what comes; handlers run in others. Whatever they do,
    the proxies are told twice a second that this process is alive.

    Args:
        service: started already.
        addresses: of the backs of its proxies.
        slots: calls at a time, all proxies together; 0 means the service's own choice.
        credential: in a mesh with keys.
    """

    def __init__(
        self, service: Service, addresses: str | Sequence[str], slots: int = 0, credential: Credential | None = None
    ) -> None:
        self.service = service
        self.slots = slots or service.slots
        self._watch = Watch()
        self._is_renewed = False
        service.renewed = self._renew
        self._handling = Handling(service)
        self._answering = Answering(self._handling, f"{socket.gethostname()}:{os.getpid()}")
        self._threads = Threads(service.name)
        backs = [addresses] if isinstance(addresses, str) else addresses
        self._lines = [Line(address, self._watch, credential) for address in backs]
        self._sharing: list[Line] = []
        self._running: set[Running] = set()
        self._ready = Ready(
            uuid=uuid.uuid4().hex, pid=os.getpid(), host=socket.gethostname(), service=service.name,
            methods=self._handling.names, slots=self.slots, started_at=time.time(),
            max_stall_s=service.max_stall_s, version=_version(), elsewhere=service.elsewhere(),
        )  # fmt: skip
        self._beat_at = time.monotonic() + BEAT_INTERVAL_S
        self._note, self._is_noting = "", False
        self._due = self._lag_s = 0.0
        self._drain_by: float | None = None

    def stop(self) -> None:
        """Drain: take no new calls, let the ones under way end; a second time: at once."""
        now = time.monotonic()
        self._drain_by = now if self._drain_by is not None else now + DRAIN_S
        self._watch.wake.set()

    def _renew(self) -> None:
        self._is_renewed = True
        self._watch.wake.set()

    def run(self) -> None:
        """Serve until stopped and drained."""
        self._look_for_note()
        for line in self._lines:
            line.look(time.monotonic())  # within a process a connection is there from the start
        self._share_out()
        while not self._is_over():
            self._turn()
        self._leave()

    def _is_over(self) -> bool:
        if self._drain_by is None:
            return False
        known = [line for line in self._lines if line.is_known]
        idle = all(line.is_drained and line.has_sent_all for line in known) and not self._running
        return idle or time.monotonic() >= self._drain_by or not known

    def _leave(self) -> None:
        """Say goodbye; a proxy's answer to a last DRAIN proves that it has read every reply."""
        for line in self._lines:
            if line.is_known:
                line.is_drained = False
                line.drain()
        leave_by = time.monotonic() + LEAVE_S
        while any(line.is_known and not line.is_drained for line in self._lines) and time.monotonic() < leave_by:
            self._turn()
        for line in self._lines:
            line.close()
        self._watch.close()

    # -- the I/O thread's turns ------------------------------------------------------------------

    def _turn(self) -> None:
        ready = self._watch.sleep([fd for line in self._lines for fd in line.fds], self._pause_s)
        now = time.monotonic()
        self._lag_s = max(self._lag_s, now - self._due)
        for line in self._lines:
            messages, changes = line.fds
            if messages in ready or line.has_mail:
                for frames in line.receive():
                    if line.is_connected:
                        self._heard(line, frames, now)
            if changes in ready or now >= self._beat_at:
                line.look(now)
            line.tick(now)
        if self._is_renewed:
            self._offer_anew()
        if self._drain_by is None:
            self._share_out()
        else:
            self._drain()
        if now >= self._beat_at:
            self._beat(now)

    def _pause_s(self) -> float:
        now = time.monotonic()
        timers = [line.next_timer(now) for line in self._lines]
        moments = [self._beat_at, *(timer for timer in timers if timer is not None)]
        if self._drain_by is not None:
            moments.append(self._drain_by)
        self._due = max(now, min(moments))
        has_work = any(line.has_mail or line.can_send for line in self._lines)
        return 0.0 if has_work else self._due - now

    def _share_out(self) -> None:
        """Offer this worker to the proxies that are there; the slots are theirs in about equal parts."""
        lines = [line for line in self._lines if line.is_usable]
        if lines == self._sharing and all(line.share for line in lines):
            return
        self._sharing = lines
        first = int(self._ready.uuid[:8], 16)
        for i, line in enumerate(lines):
            slots = share(self.slots, len(lines), (first + i) % len(lines))
            if line.share != slots:
                line.offer(replace(self._ready, slots=slots))

    def _offer_anew(self) -> None:
        """Tell the proxies that this worker serves other methods than before."""
        self._is_renewed = False
        self._handling.renew()
        self._ready = replace(self._ready, methods=self._handling.names, elsewhere=self.service.elsewhere())
        for line in self._lines:
            if line.is_known:
                line.offer(replace(self._ready, slots=line.share))

    def _drain(self) -> None:
        for line in self._lines:
            if line.is_known and not line.is_draining:
                line.drain()

    def _beat(self, now: float) -> None:
        self._beat_at = now + BEAT_INTERVAL_S
        about = Beat([], resident_bytes(), self._note, self._lag_s, time.process_time())
        self._lag_s = 0.0
        for line in self._lines:
            if line.is_known:
                running = [(call.route, call.id) for call in list(line.session.calls.values())]
                line.beat(replace(about, running=running))
        self._look_for_note()

    def _look_for_note(self) -> None:
        """Ask the service in a handler's thread: it may have to wait for a lock, and beats must not."""
        if not self._is_noting:
            self._is_noting = True
            self._threads.start(self._take_note)

    def _take_note(self) -> None:
        self._note = self._handling.note()
        self._is_noting = False

    # -- in --------------------------------------------------------------------------------------

    def _heard(self, line: Line, frames: list[Any], now: float) -> None:
        try:
            if len(frames) < 2:
                raise BadRequest(f"a message of {len(frames)} frames; it has to begin with a route and an envelope")
            route, envelope = frames[0], decode(frames[1])
            if not route:
                self._about_line(line, envelope, now)
            elif len(route) > ROUTE_MS.size:
                self._about_call(line, route, envelope, frames[2:], now)
            else:
                raise BadRequest(f"a route of {len(route)} bytes")
        except RagqError as error:
            line.violated(error, now)

    def _about_line(self, line: Line, envelope: Envelope, now: float) -> None:
        match envelope.kind:
            case Kind.RESET:
                line.forgotten()
            case Kind.DRAIN:
                line.is_drained = True
            case Kind.ERROR:
                line.refused(read_failure(envelope), now)
            case Kind.BYE if not line.session.calls and line.has_sent_all:
                line.move(now)

    def _about_call(self, line: Line, route: bytes, envelope: Envelope, buffers: list[Any], now: float) -> None:
        key = (route[: -ROUTE_MS.size], envelope.id)
        running = line.session.calls.get(key)
        if running is not None:
            running.heard(envelope, buffers)
        elif envelope.kind is Kind.CALL:
            self._start(line, key, route, envelope, buffers, now)

    def _start(self, line: Line, key: Key, route: bytes, envelope: Envelope, buffers: list[Any], now: float) -> None:
        session = line.session
        if len(self._running) >= self.slots:
            line.leave(session, [route, Envelope(Kind.NACK, envelope.id).encode()])
            return
        (waited_ms,) = ROUTE_MS.unpack(route[-ROUTE_MS.size :])
        call = Call(now + ((envelope.ttl_ms or DEFAULT_TTL_MS) - waited_ms) / 1000)
        running = Running(route, envelope.id, call)
        if envelope.flags & Flag.WANTS_STREAM:
            running.outbox = Outbox(envelope.id, call, envelope.seq)
        if envelope.flags & Flag.STREAMS_INPUT:
            running.inbox = Inbox(call, partial(_grant, line, session, running))
        session.calls[key] = running
        self._running.add(running)
        self._threads.start(partial(self._serve, line, session, key, running, envelope, buffers))

    # -- a handler's thread ----------------------------------------------------------------------

    def _serve(
        self, line: Line, session: Session, key: Key, running: Running, envelope: Envelope, buffers: list[Any]
    ) -> None:
        frames = self._answering.frames(running, envelope, buffers, partial(_leave, line, session, running))
        del session.calls[key]
        self._running.discard(running)
        line.send(session, [running.route, *frames])
        if self._drain_by is not None:
            self._watch.rouse()


def _leave(line: Line, session: Session, running: Running, frames: Sequence[Buffer]) -> None:
    line.leave(session, [running.route, *frames])


def _grant(line: Line, session: Session, running: Running, num_chunks: int) -> None:
    line.leave(session, [running.route, Envelope(Kind.CREDIT, running.id, seq=num_chunks).encode()])


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
