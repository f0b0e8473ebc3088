"""How calls and answers pass between the clients and the workers of one service."""

from __future__ import annotations

import gc
import logging
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import zmq
from zmq.backend import zmq_poll

from clients import sockets
from clients.config import Config, Endpoint, Pair
from clients.errors import ConfigError, RagqError
from clients.status import ServiceStats, ServiceStatus
from clients.wire import Envelope, Kind
from proxies.back import Back
from proxies.delivery import Delivery
from proxies.dispatch import Dispatcher
from proxies.front import Front
from proxies.gate import Gate
from proxies.guard import Guard
from proxies.journal import INTERVAL_S, Journal
from proxies.port import Port
from proxies.report import report, stats
from proxies.watch import Watch

MAX_BURST = 100
BUSY_BURST = 3
DRAIN_TIMEOUT_S = 30.0
LEAVING_PAUSE_S = 0.05
LONGEST_BUSY_S = 0.02
PROBE = Envelope(Kind.PING, 0).encode()
POLLIN = int(zmq.POLLIN)
log = logging.getLogger("ragq.proxy")
Hear = Callable[[list[Any], str, float], None]


class Proxy:
    """Two ROUTERs and a dispatcher; one thread."""

    def __init__(self, service: str, front: str, back: str, gate: Gate | None = None) -> None:
        self.service = service
        self._gate = gate
        self._guard = Guard(service, gate.access) if gate else None
        self._front_port = Port(front, gate.front.secret if gate else "", "clients")
        try:
            self._back_port = Port(back, gate.back.secret if gate else "", "workers")
        except RagqError:
            self._front_port.close()
            raise
        self._started = time.monotonic()
        self._dispatcher = Dispatcher(self._started)
        self._delivery = Delivery(self._front_port, self._back_port, self._dispatcher)
        self._front = Front(self._dispatcher, self._delivery, self._guard, self.status)
        self._back = Back(self._dispatcher, self._delivery, self._guard)
        self._front_watch, self._back_watch = Watch(), Watch()
        self._num_stops = 0
        self._stop_by: float | None = None
        self._wake = sockets.Wake()
        self._ports: list[tuple[Any, int]] = [(port.socket, POLLIN) for port in (self._back_port, self._front_port)]
        self._monitors = {port.monitor: watch for port, watch in self._watched()}
        self._sources = [*self._ports, *((monitor, POLLIN) for monitor in self._monitors), (self._wake.reader, POLLIN)]
        if gate:
            self._sources.append((gate.socket, POLLIN))
        self._is_busy = False
        self._looked_at = self._started
        self._journal = Journal()
        self._write_at = 0.0

    def _watched(self) -> list[tuple[Port, Watch]]:
        return [(self._back_port, self._back_watch), (self._front_port, self._front_watch)]

    def stop(self) -> None:
        """Drain: refuse new calls, let the ones under way end; a second time: at once. Any thread, any signal may."""
        self._num_stops += 1
        self._wake.set()

    def look_at_keys(self) -> None:
        """Read the list of those who may come at once; safe in a signal handler."""
        if self._gate:
            self._gate.look_again()
            self._wake.set()

    def status(self) -> ServiceStatus:
        """The service as this proxy sees it."""
        return report(self.service, self._dispatcher, self._started, time.monotonic())

    def stats(self) -> ServiceStats:
        """What this proxy has counted."""
        return stats(self.service, self._dispatcher, self._started, time.monotonic())

    def run(self) -> None:
        """Serve until stopped and drained."""
        try:
            while not self._is_over():
                self._turn()
        finally:
            self._close()

    # -- the loop ------------------------------------------------------------------------------

    def _turn(self) -> None:
        """Wait for something, and do what it calls for; while much comes, look at nothing but the two sockets."""
        if self._is_busy and time.monotonic() - self._looked_at < LONGEST_BUSY_S:
            ready = zmq_poll(self._ports, 0)
            now = time.monotonic()
        else:
            ready = zmq_poll(self._sources, int(self._pause_s(time.monotonic()) * 1000) + 1)
            self._looked_at = now = time.monotonic()
        self._is_busy = False
        for source, _ in ready:
            if source is self._back_port.socket:
                self._drain(self._back_port, self._back.hear, now)
            elif source is self._front_port.socket:
                self._drain(self._front_port, self._front.hear, now)
            elif source in self._monitors:
                self._monitors[source].alarm(now)
            elif source == self._wake.reader:
                self._wake.clear()
        self._look_after_time(now)

    def _drain(self, port: Port, hear: Hear, now: float) -> bool:
        """Handle a burst of messages; whether there may be more."""
        receive = port.receive
        for num in range(MAX_BURST):
            frames = receive()
            if frames is None:
                self._is_busy = self._is_busy or num >= BUSY_BURST
                break
            hear(frames, port.principal, now)
        else:
            self._is_busy = True
            num = MAX_BURST
        self._delivery.act()
        return num == MAX_BURST

    def _pause_s(self, now: float) -> float:
        if self._is_busy:
            return 0.0
        pause_s = self._dispatcher.next_timer(now)
        if self._stop_by is not None:
            pause_s = min(pause_s, LEAVING_PAUSE_S)
        for _, watch in self._watched():
            if watch.due_at is not None:
                pause_s = min(pause_s, max(0.0, watch.due_at - now))
        return pause_s

    def _look_after_time(self, now: float) -> None:
        if self._gate:
            self._keep(self._gate, now)
        if self._num_stops:
            self._leave(now)
        if self._back_watch.is_due(now):
            self._look_for_workers(now)
        if self._front_watch.is_due(now):
            self._look_for_clients()
        self._dispatcher.tick(now)
        self._delivery.act()
        if now >= self._write_at:
            self._write_at = now + INTERVAL_S
            self._write(now)

    def _write(self, now: float) -> None:
        for line in self._journal.lines(self.status(), self.stats(), now):
            log.log(line.level, "%s: %s", self.service, line.text)

    def _keep(self, gate: Gate, now: float) -> None:
        """Let in who may come, and let go of workers whose key was revoked."""
        has_changed = gate.refresh(now)
        if (gate.answer(now) or has_changed) and self._guard:
            for worker in self._guard.change(gate.access, self._dispatcher.workers):
                self._dispatcher.gone(worker, now)

    # -- the end -------------------------------------------------------------------------------

    def _leave(self, now: float) -> None:
        if self._stop_by is None:
            self._stop_by = now + DRAIN_TIMEOUT_S
            self._dispatcher.drain()
        if self._num_stops > 1:
            self._stop_by = now

    def _is_over(self) -> bool:
        if self._stop_by is None:
            return False
        waiting_for = [c for c in self._dispatcher.calls.values() if not c.is_answered]
        return not waiting_for or time.monotonic() >= self._stop_by

    def _close(self) -> None:
        self._dispatcher.abandon()
        self._delivery.act()
        self._front_port.close()
        self._back_port.close()
        self._wake.close()
        if self._gate:
            self._gate.close()

    # -- who is still there --------------------------------------------------------------------

    def _look_for_workers(self, now: float) -> None:
        self._back_port.hear_monitor()
        while self._drain(self._back_port, self._back.hear, now):  # a reply that is here already counts
            pass
        for worker in list(self._dispatcher.workers):
            if not self._delivery.control(worker, PROBE):
                self._dispatcher.gone(worker, now)

    def _look_for_clients(self) -> None:
        self._front_port.hear_monitor()
        for client in {c.key[0] for c in self._dispatcher.calls.values() if not c.is_legacy}:
            if not self._delivery.to_client(client, [PROBE]):
                self._dispatcher.client_gone(client)


def run(config: Config, service: str, number: int = 0) -> int:
    """Run a proxy of a service in the foreground until SIGTERM or SIGINT, which drain it.

    Args:
        config: names the service's pairs of endpoints.
        service: whose proxy it is.
        number: of the pair that it binds.

    Raises:
        ConfigError: an endpoint that other machines reach, without keys or ``insecure: true``; keys that are absent or
            open to others; no such number.
        PortBusy: another process listens there.
    """
    pair = _pair(config, service, number)
    for endpoint in (pair.front_end, pair.back_end):
        _refuse_open_bind(endpoint, insecure=config.insecure or config.security.enabled)
    gate = Gate(config.keys_folder) if config.security.enabled else None
    proxy = Proxy(service, pair.front_end.address, pair.back_end.address, gate)

    def reread(_signal: int, _frame: FrameType | None) -> None:
        proxy.look_at_keys()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        proxy.stop()

    gc.collect()
    gc.freeze()  # what exists now stays; a full collection would stop every call on its way
    gc.set_threshold(10_000, 20, 1000)
    with suppress(ValueError):  # signals belong to the main thread; a test may run a proxy in another
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        if gate:
            signal.signal(signal.SIGHUP, reread)
    proxy.run()
    if threading.current_thread() is threading.main_thread():
        sockets.finish()
    return 0


def _pair(config: Config, service: str, number: int) -> Pair:
    pairs = config.service(service).pairs
    if number >= len(pairs):
        raise ConfigError(
            f"{service} has no proxy {number}; its numbers end at {len(pairs) - 1}",
            help=f"each entry under '{service}.proxies' adds one",
        )
    return pairs[number]


def _refuse_open_bind(endpoint: Endpoint, *, insecure: bool) -> None:
    if not (endpoint.is_local or insecure):
        raise ConfigError(
            f"{endpoint.address} can be reached from other machines, and the mesh has no keys",
            help="'security.enabled: true' gives it keys; or bind 127.0.0.1, or accept the risk with 'insecure: true'",
        )
