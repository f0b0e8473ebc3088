"""How calls and answers pass between the clients and the workers of one service."""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from types import FrameType
from typing import Any

from clients import sockets
from clients.config import Config
from clients.endpoint import Endpoint, Pair
from clients.errors import ConfigError
from clients.greetings import Welcome
from clients.status import ServiceStats, ServiceStatus
from clients.system import Description, Health, Lost
from proxies.back import Back
from proxies.control import Control, health_at
from proxies.delivery import Delivery
from proxies.dispatch import Dispatcher
from proxies.front import BYE, Front
from proxies.gate import Gate
from proxies.guard import Guard
from proxies.journal import INTERVAL_S, Journal
from proxies.lookout import Lookout
from proxies.loop import Hear, Loop
from proxies.port import Port
from proxies.report import describe, report, stats
from proxies.system import System
from proxies.watch import Watch

DRAIN_TIMEOUT_S = 30.0
RESTLESS_PAUSE_S = 0.05
log = logging.getLogger("ragq.proxy")


class Proxy:
    """Two ROUTERs and a dispatcher; one thread.

    Args:
        service: whose proxy it is.
        front: where clients come.
        back: where workers come.
        gate: who may come, in a mesh with keys.
        control: where it takes orders from this machine; empty means nowhere.

    Raises:
        PortBusy: another proxy is at one of the addresses, and does not leave.
    """

    def __init__(self, service: str, front: str, back: str, gate: Gate | None = None, control: str = "") -> None:
        self.service = service
        self._gate = gate
        self._guard = Guard(service, gate.access) if gate else None
        self._started = time.monotonic()
        self._dispatcher = Dispatcher(self._started)
        self._id = uuid.uuid4().hex
        self._open(front, back, control)
        self._num_stops = 0
        self._stop_by: float | None = None
        self._released: set[bytes] = set()
        self._wake = sockets.Wake()
        self._loop = self._new_loop()
        self._journal = Journal()
        self._write_at = 0.0

    def _open(self, front: str, back: str, control: str) -> None:
        limits, gate = self._dispatcher.limits, self._gate
        welcome = Welcome(self._id, self.service, limits.max_client_calls, limits.max_client_bytes)
        system = System(self.health, self.describe, self.status, self.stats, self.stop, self._lose)
        before = health_at(control) if control else None
        is_successor = before is not None and before.state == "draining"
        with ExitStack() as opened:
            keys = (gate.front.secret, gate.back.secret) if gate else ("", "")
            self._front_port = Port(front, keys[0], "clients", is_successor=is_successor)
            opened.callback(self._front_port.close)
            self._back_port = Port(back, keys[1], "workers", is_successor=is_successor)
            opened.callback(self._back_port.close)
            self._control = Control(control, welcome, system, is_successor=is_successor) if control else None
            opened.pop_all()
        self._delivery = Delivery(self._front_port, self._back_port, self._dispatcher)
        self._front = Front(self._dispatcher, self._delivery, self._guard, system, welcome)
        self._back = Back(self._dispatcher, self._delivery, self._guard)
        self._lookout = Lookout(self._dispatcher, self._delivery, self._front, self._hear_workers)

    def _new_loop(self) -> Loop:
        ports: list[tuple[Port, Hear]] = [(self._back_port, self._back.hear), (self._front_port, self._front.hear)]
        others: dict[Any, Callable[[float], None]] = {
            self._back_port.monitor: partial(_alarm, self._back_port, self._lookout.workers),
            self._front_port.monitor: partial(_alarm, self._front_port, self._lookout.clients),
            self._wake.reader: lambda _now: self._wake.clear(),
        }
        if self._control:
            ports.append((self._control.port, self._control.hear))
        if self._gate:
            others[self._gate.socket] = partial(self._let_in, self._gate)
        return Loop(ports, others, self._delivery.act)

    # -- what others may ask -------------------------------------------------------------------

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
        num_refused = self._gate.num_refused if self._gate else 0
        return stats(self.service, self._dispatcher, self._started, time.monotonic(), num_refused)

    def health(self) -> Health:
        """Whether it takes calls."""
        num_workers = len(self._dispatcher.workers)
        if self._num_stops:
            return Health(self.service, "draining", self._id, os.getpid(), num_workers)
        return Health(self.service, "ready" if num_workers else "starting", self._id, os.getpid(), num_workers)

    def describe(self) -> Description:
        """What can be called, and how much of it at a time."""
        return describe(self.service, self._dispatcher)

    def _lose(self, lost: Lost) -> None:
        self._lookout.lose(lost, time.monotonic())

    # -- the loop ------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until stopped and drained."""
        try:
            while not self._is_over():
                self._look_after_time(self._loop.turn(self._pause_s))
        finally:
            self._close()

    def _pause_s(self, now: float) -> float:
        is_restless = self._num_stops or self._delivery.parking
        longest_s = RESTLESS_PAUSE_S if is_restless else self._dispatcher.next_timer(now)
        return self._lookout.pause_s(now, longest_s)

    def _look_after_time(self, now: float) -> None:
        if self._gate and self._gate.refresh(now):
            self._dismiss(self._gate, now)
        if self._num_stops:
            self._leave(now)
        self._lookout.look(now)
        if self._delivery.parking:
            self._delivery.retry()
        self._dispatcher.tick(now)
        self._delivery.act()
        if now >= self._write_at:
            self._write_at = now + INTERVAL_S
            self._write(now)

    def _hear_workers(self, now: float) -> None:
        while self._loop.empty(self._back_port, self._back.hear, now):
            pass

    def _let_in(self, gate: Gate, now: float) -> None:
        """Somebody wants to connect."""
        if gate.answer(now):
            self._dismiss(gate, now)

    def _dismiss(self, gate: Gate, now: float) -> None:
        """Let go of workers whose key was revoked."""
        if self._guard:
            for worker in self._guard.change(gate.access, self._dispatcher.workers):
                self._dispatcher.gone(worker, now)

    def _write(self, now: float) -> None:
        for line in self._journal.lines(self.status(), self.stats(), now, self._dispatcher.tally.left):
            log.log(line.level, "%s: %s", self.service, line.text)

    # -- the end -------------------------------------------------------------------------------

    def _leave(self, now: float) -> None:
        if self._stop_by is None:
            self._stop_by = now + DRAIN_TIMEOUT_S
            self._front_port.leave()
            self._back_port.leave()
            self._dispatcher.drain()
            self._front.leave()
        if self._num_stops > 1:
            self._stop_by = now
        self._lookout.look_for_all(now)
        self._release_workers()

    def _release_workers(self) -> None:
        """Send those without calls to the successor."""
        for worker in self._dispatcher.workers.values():
            if not (self._dispatcher.num_waiting or worker.running or worker.id in self._released):
                self._released.add(worker.id)
                self._delivery.control(worker.id, BYE)

    def _is_over(self) -> bool:
        if self._stop_by is None:
            return False
        is_done = not (self._dispatcher.clients or self._front.greeted)
        return is_done or time.monotonic() >= self._stop_by

    def _close(self) -> None:
        self._dispatcher.abandon()
        self._delivery.act()
        self._front_port.close()
        self._back_port.close()
        if self._control:
            self._control.port.close()
        self._wake.close()
        if self._gate:
            self._gate.close()


def _alarm(port: Port, watch: Watch, now: float) -> None:
    port.hear_monitor()
    watch.alarm(now)


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
    control = config.control_address(service, number)
    proxy = Proxy(service, pair.front_end.address, pair.back_end.address, gate, control)

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
