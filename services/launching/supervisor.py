"""Which processes run, which wait for another start, and in which order do they end."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from services.launching.home import Home, RoleRecord, write_roles
from services.launching.readiness import Answered
from services.processes.children import Child, Exit
from services.processes.logs import LogFile, Record
from services.processes.restart import GiveUp, RestartPolicy

DRAIN_S = 30.0
INSIST_S = 5.0
log = logging.getLogger("ragq.launcher")


class Stage(IntEnum):
    """When a role starts; they end the other way round, so that whoever calls ends before who answers."""

    PROXY = 0
    WORKER = 1
    FACE = 2


@dataclass(frozen=True, slots=True)
class Role:
    """One process that is to run.

    Attributes:
        part: what a person calls the thing that it belongs to: ``llm``, ``http``.
    """

    name: str
    part: str
    command: tuple[str, ...]
    stage: Stage


@dataclass(frozen=True, slots=True)
class Ended:
    """A child ended."""

    child: Child


@dataclass(frozen=True, slots=True)
class Stop:
    """Somebody asked for the end."""


Event = Ended | Stop | Answered


@dataclass(slots=True)
class Seat:
    """A role and its process of the moment."""

    role: Role
    policy: RestartPolicy
    log: LogFile
    child: Child | None = None
    restart_at: float | None = None
    num_restarts: int = 0
    failure: str = ""
    failure_code: int = 0
    last_exit: Exit | None = None

    def record(self) -> RoleRecord:
        """For those who ask from outside."""
        if self.child:
            state = "running"
        elif self.failure:
            state = "failed"
        else:
            state = "waiting" if self.restart_at is not None else "stopped"
        why = self.failure or (self.last_exit.reason if self.last_exit else "")
        return RoleRecord(self.role.name, state, self.child.pid if self.child else 0, self.num_restarts, why)


class Supervisor:
    """Runs roles until it is told to stop.

    One thread calls ``start``, ``step`` and ``drain``; children's threads and signal handlers
    only put events.

    Args:
        tell: shows a line to the person at the console.
        dice: gives numbers from 0 to 1.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        home: Home,
        *,
        env: Mapping[str, str],
        tell: Callable[[str], None],
        dice: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.is_stopping = False
        self._home, self._env, self._tell, self._clock = home, env, tell, clock
        ordered = sorted(roles, key=lambda role: role.stage)
        self.seats = [Seat(role, RestartPolicy(dice), LogFile(home.logs / f"{role.name}.log")) for role in ordered]

    def start(self) -> None:
        """Start every role, proxies first."""
        for seat in self.seats:
            self._launch(seat)
        self._publish()

    def request_stop(self) -> None:
        """Ask for the end; safe in a signal handler."""
        self.events.put(Stop())

    def step(self, timeout_s: float) -> Event | None:
        """Wait for one event or for a restart that is due, and deal with it; the event, if there was one."""
        due = [seat.restart_at for seat in self.seats if seat.restart_at is not None]
        pause_s = min([timeout_s, *(max(0.0, at - self._clock()) for at in due)])
        event = self._next(pause_s)
        if isinstance(event, Stop):
            self.is_stopping = True
        elif isinstance(event, Ended):
            self._ended(event.child)
        self._restart_due()
        return event

    def _next(self, timeout_s: float) -> Event | None:
        try:
            return self.events.get(timeout=timeout_s)
        except queue.Empty:
            return None

    @property
    def failures(self) -> list[Seat]:
        """The roles that are down for good."""
        return [seat for seat in self.seats if seat.failure]

    @property
    def is_all_lost(self) -> bool:
        """Whether nothing runs and nothing will."""
        return all(seat.failure for seat in self.seats)

    def drain(self, *, drain_s: float = DRAIN_S, insist_s: float = INSIST_S) -> bool:
        """End everything, faces first, proxies last; a stop that is asked meanwhile ends all at once.

        Returns:
            Whether every process ended of itself.
        """
        for seat in self.seats:
            seat.restart_at = None
            seat.last_exit = None
        deadline = self._clock() + drain_s
        for stage in sorted(Stage, reverse=True):
            self._end_stage(stage, deadline)
        self._end_stage(None, self._clock() + insist_s)
        self._kill()
        self._publish()
        clean = all(seat.child is None and (seat.last_exit is None or seat.last_exit.is_clean) for seat in self.seats)
        for seat in self.seats:
            seat.log.close()
        return clean

    def _end_stage(self, stage: Stage | None, deadline: float) -> None:
        """Ask a stage (or all that is left) to end, and wait for it."""
        running = [seat for seat in self.seats if seat.child and stage in (None, seat.role.stage)]
        for seat in running:
            if seat.child:
                seat.child.terminate()
        while any(seat.child for seat in running) and (left_s := deadline - self._clock()) > 0:
            if self._wait(left_s):
                self._kill()
                return

    def _kill(self) -> None:
        for seat in self.seats:
            if seat.child:
                log.warning("killing %s, pid %d", seat.role.name, seat.child.pid)
                seat.child.kill()
        deadline = self._clock() + INSIST_S
        while any(seat.child for seat in self.seats) and self._clock() < deadline:
            self._wait(INSIST_S)

    def _wait(self, timeout_s: float) -> bool:
        """Take one event while stopping; whether it was another request to stop."""
        event = self._next(timeout_s)
        if isinstance(event, Ended) and (seat := self._seat(event.child)):
            seat.child, seat.last_exit = None, event.child.exit
            log.info("%s stopped: %s", seat.role.name, event.child.exit.reason if event.child.exit else "")
        return isinstance(event, Stop)

    def _launch(self, seat: Seat) -> None:
        try:
            seat.child = Child(
                seat.role.name, seat.role.command, seat.log, lambda child: self.events.put(Ended(child)), self._env
            )
        except OSError as error:
            seat.failure = f"cannot start {seat.role.command[0]}: {error.strerror}"
            self._report(seat, seat.failure)
            return
        seat.restart_at = None
        seat.policy.started(self._clock())
        log.info("%s runs as pid %d", seat.role.name, seat.child.pid)

    def _restart_due(self) -> None:
        now = self._clock()
        for seat in self.seats:
            if seat.restart_at is not None and seat.restart_at <= now:
                seat.num_restarts += 1
                self._launch(seat)
                self._publish()

    def _ended(self, child: Child) -> None:
        seat = self._seat(child)
        if seat is None or child.exit is None:
            return
        seat.child, seat.last_exit = None, child.exit
        verdict = seat.policy.died(self._clock(), child.exit.code)
        if isinstance(verdict, GiveUp):
            seat.failure, seat.failure_code = f"{child.exit.reason}: {verdict.why}", child.exit.code
            self._report(seat, seat.failure)
        else:
            seat.restart_at = verdict.at
            self._report(seat, f"{child.exit.reason}; starting it again in {verdict.at - self._clock():.1f} s")
        self._publish()

    def _seat(self, child: Child) -> Seat | None:
        return next((seat for seat in self.seats if seat.child is child), None)

    def _report(self, seat: Seat, what: str) -> None:
        lines = seat.last_exit.last_lines if seat.last_exit else ()
        log.error("%s ended: %s", seat.role.name, what)
        seat.log.write(Record(time.time(), "ERROR", seat.role.name, f"ended: {what}"))
        shown = "".join(f"\n    {line}" for line in (lines if seat.failure else lines[-1:]))
        self._tell(f"{seat.role.name} ended: {what}{shown}")

    def _publish(self) -> None:
        write_roles(self._home, [seat.record() for seat in self.seats])
