"""How does a mesh start, tell that it is ready, keep running and stop, as one command?"""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType

from clients.settings import TOP_LEVEL, Loaded
from clients.sources import ENV_NOT_KEYS, is_key
from services.index.stores.whereabouts import Whereabouts
from services.launching import orders, ports, provision
from services.launching.home import Home
from services.launching.keyring import Keyring
from services.launching.liaison import Liaison, Stuck
from services.launching.notices import Notices
from services.launching.readiness import Answered, Part, connected, watch
from services.launching.roles import Role, Stage
from services.launching.screen import Screen
from services.launching.store_watch import StoreWatch
from services.launching.supervisor import Supervisor
from services.processes.logs import LogFile, ToFile

START_LIMIT_S = 300.0
EXIT_CODES_TO_PASS_ON = frozenset({2, 3, 4, 5})


@dataclass(frozen=True, slots=True)
class Plan:
    """What one launcher is to run.

    Attributes:
        roles: makes the processes, given the file with the configuration that they are to read.
        parts: what to wait for before the mesh counts as ready.
        fronts: the proxies that know the workers that run here, by service.
        controls: the control sockets of the proxies that run here.
        sockets: ports that have to be free.
        needs_models: the LLM service is among the roles.
        is_strict: end with an error unless everything becomes ready.
        notes: what a person should know of it, a line each.
        makes_keys: with security, make the keys that are absent; not where other machines have proxies too,
            because all proxies of a mesh have the same keys.
    """

    roles: Callable[[Path], list[Role]]
    parts: list[Part]
    fronts: dict[str, list[str]]
    controls: list[str]
    sockets: list[ports.Socket]
    needs_models: bool
    is_strict: bool = False
    notes: list[str] = field(default_factory=list)
    makes_keys: bool = False


def launch(loaded: Loaded, plan: Plan) -> int:
    """Run a plan until it is stopped.

    Returns:
        An exit code: 0 after an orderly stop.

    Raises:
        HomeLocked, PortTaken, ModelNotLoaded: it cannot even begin.
    """
    began = time.monotonic()
    screen, config, home = Screen(), loaded.config, Home(loaded.config.home)
    home.prepare()
    with home.locked():
        ports.check(plan.sockets)
        screen.header(loaded, plan.notes)
        if config.security.enabled and plan.makes_keys:
            for path in Keyring(config.keys_folder).provide():
                screen.say(f"made {path}, which only you may read")
        if plan.needs_models:
            provision.provide(config, screen.say, screen.console)
        log = LogFile(home.logs / "launcher.log")
        _log_to(log)
        notices = Notices(plan.controls)
        supervisor = Supervisor(
            plan.roles(home.keep(config)), home, env=child_env(), tell=screen.say, dice=random.random,
            mourn=notices.ended,
        )  # fmt: skip
        _stop_on_signals(supervisor)
        try:
            with orders.taken(orders.door(config), supervisor.events.put), notices:
                return _Run(loaded, plan, supervisor, screen, began).run()
        finally:
            log.close()


def child_env() -> dict[str, str]:
    """The environment without what the children's configuration already says."""
    return {
        name: value for name, value in os.environ.items() if name not in ENV_NOT_KEYS and not is_key(name, TOP_LEVEL)
    }


def _log_to(log: LogFile) -> None:
    logger = logging.getLogger("ragq.launcher")
    logger.handlers[:] = [ToFile("launcher", log)]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _stop_on_signals(supervisor: Supervisor) -> None:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        supervisor.request_stop()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


@dataclass(slots=True)
class _Run:
    loaded: Loaded
    plan: Plan
    supervisor: Supervisor
    screen: Screen
    began: float

    def run(self) -> int:
        done = threading.Event()
        try:
            self.supervisor.start()
            watch(self.plan.parts, self.supervisor.events.put, self.began, done)
            hear = self.supervisor.events.put
            with Liaison(self.plan.fronts, partial(connected, self.loaded.config), hear), self._watched_store(hear):
                is_ready = self._until_ready()
                if is_ready or not self.plan.is_strict:
                    self._until_stopped()
        finally:
            done.set()
            self.screen.calm()
            is_clean = self._end()
        return self._exit_code(is_clean=is_clean)

    def _watched_store(self, hear: Callable[[Stuck], None]) -> AbstractContextManager[object]:
        """Look after the server of the vectors, if one runs here."""
        runs = any(seat.role.stage is Stage.STORE for seat in self.supervisor.seats)
        return StoreWatch(Whereabouts(self.loaded.config.home), hear) if runs else nullcontext()

    def _until_ready(self) -> bool:
        """Show each part as it answers; whether all did."""
        awaited = {part.name for part in self.plan.parts}
        answered: list[Answered] = []
        while awaited and not self._is_over() and time.monotonic() - self.began < START_LIMIT_S:
            self.screen.waiting(sorted(awaited))
            event = self.supervisor.step(1.0)
            if isinstance(event, Answered):
                self.screen.answered(event)
                answered.append(event)
                awaited.discard(event.name)
            awaited -= self._report_failed(awaited)
        self.screen.waiting(())
        for name in sorted(awaited) if not self._is_over() else ():
            self.screen.failed(name, f"no answer after {START_LIMIT_S:.0f} s; still trying")
        if answered and not self.supervisor.is_stopping:
            took_s = max(answer.after_s for answer in answered)
            self.screen.footer(self.loaded.config, [answer.name for answer in answered], took_s)
        return len(answered) == len(self.plan.parts)

    def _report_failed(self, awaited: set[str]) -> set[str]:
        lost = {seat.role.part: seat.failure for seat in self.supervisor.failures if seat.role.part in awaited}
        for name, why in lost.items():
            self.screen.failed(name, why)
        return set(lost)

    def _is_over(self) -> bool:
        return self.supervisor.is_stopping or self.supervisor.is_all_lost

    def _until_stopped(self) -> None:
        while not self._is_over():
            self.supervisor.step(60.0)

    def _end(self) -> bool:
        began = time.monotonic()
        if self.supervisor.is_stopping:
            self.screen.say("stopping; a second Ctrl-C stops at once")
        is_clean = self.supervisor.drain()
        how = "stopped" if is_clean else "stopped, not everything ended by itself"
        self.screen.say(f"{how} in {time.monotonic() - began:.1f} s")
        return is_clean

    def _exit_code(self, *, is_clean: bool) -> int:
        if self.supervisor.is_stopping:
            return 0 if is_clean else 1
        codes = [seat.failure_code for seat in self.supervisor.failures]
        return next((code for code in codes if code in EXIT_CODES_TO_PASS_ON), 1)
