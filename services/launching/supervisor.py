"""Which processes run, which wait for another start, and in which order do they end."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from clients.reading import nearest
from services.launching.home import Home, write_roles
from services.launching.liaison import Stuck
from services.launching.readiness import Answered
from services.launching.roles import Role, Seat, Stage
from services.launching.rolling import INTERVAL_S, Order, Roll
from services.processes.children import Child
from services.processes.logs import LogFile, Record
from services.processes.restart import GiveUp, RestartPolicy

DRAIN_S = 30.0
INSIST_S = 5.0
log = logging.getLogger("ragq.launcher")


@dataclass(frozen=True, slots=True)
class Ended:
    """A child ended."""

    child: Child


@dataclass(frozen=True, slots=True)
class Stop:
    """Somebody asked for the end."""


Event = Ended | Stop | Order | Answered | Stuck


class Supervisor:
    """Runs roles until it is told to stop.

    One thread calls ``start``, ``step`` and ``drain``; children's threads and signal handlers
    only put events.

    Args:
        tell: shows a line to the person at the console.
        dice: gives numbers from 0 to 1.
        mourn: told at once of the pid of each worker that has ended.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        home: Home,
        *,
        env: Mapping[str, str],
        tell: Callable[[str], None],
        dice: Callable[[], float],
        mourn: Callable[[int], None] = lambda _pid: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.is_stopping = False
        self._home, self._env, self._tell, self._clock = home, env, tell, clock
        self._mourn = mourn
        self._roll: Roll | None = None
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
        due = [at for seat in self.seats for at in (seat.restart_at, seat.kill_at) if at is not None]
        pause_s = min([INTERVAL_S if self._roll else timeout_s, *(max(0.0, at - self._clock()) for at in due)])
        event = self._next(pause_s)
        if isinstance(event, Stop):
            self.is_stopping = True
        elif isinstance(event, Ended):
            self._ended(event.child)
        elif isinstance(event, Order):
            self._begin(event)
        elif isinstance(event, Stuck):
            self._free(event.pid)
        self._restart_due()
        self._insist()
        self._go_on()
        return event

    def _begin(self, order: Order) -> None:
        """Carry out an order; one at a time."""
        unknown = [name for name in order.names if not any(order.means(seat, name) for seat in self.seats)]
        if unknown:
            known = {name for seat in self.seats for name in (seat.role.name, seat.role.part)}
            order.done(f"nothing here is called '{unknown[0]}'; {nearest(unknown[0], known)}")
        elif self._roll:
            order.done("another restart is under way; wait for it to end")
        else:
            named = [seat for seat in self.seats if not order.names or any(order.means(seat, n) for n in order.names)]
            self._roll = Roll(order, named, self._launch)

    def _free(self, pid: int) -> None:
        """End a worker that is stuck; it is then started again like one that crashed."""
        for seat in self.seats:
            if seat.child and seat.child.pid == pid and seat.kill_at is None:
                self._note(seat, f"pid {pid} is stuck and answers nobody; starting it again")
                seat.kill_at = self._clock() + INSIST_S
                seat.child.terminate()

    def _insist(self) -> None:
        """Kill those that did not end when they were asked to."""
        for seat in self.seats:
            if seat.child and seat.kill_at is not None and seat.kill_at <= self._clock():
                log.warning("killing %s, pid %d", seat.role.name, seat.child.pid)
                seat.kill_at = None
                seat.child.kill()

    def _go_on(self) -> None:
        if self._roll:
            self._roll.turn(self._clock())
            self._publish()
            self._roll = None if self._roll.is_over else self._roll

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
        if self._roll:
            self._roll.end("the mesh stops")
        for seat in self.seats:
            seat.restart_at = None
            seat.last_exit = None
        deadline = self._clock() + drain_s
        for stage in sorted(Stage, reverse=True):
            self._end_stage(stage, deadline)
        self._end_stage(None, self._clock() + insist_s)
        self._kill()
        self._publish()
        clean = all(not seat.children and (seat.last_exit is None or seat.last_exit.is_clean) for seat in self.seats)
        for seat in self.seats:
            seat.log.close()
        return clean

    def _end_stage(self, stage: Stage | None, deadline: float) -> None:
        """Ask a stage (or all that is left) to end, and wait for it."""
        running = [seat for seat in self.seats if stage in (None, seat.role.stage)]
        for child in _children(running):
            child.terminate()
        while _children(running) and (left_s := deadline - self._clock()) > 0:
            if self._wait(left_s):
                self._kill()
                return

    def _kill(self) -> None:
        for child in _children(self.seats):
            log.warning("killing %s, pid %d", child.name, child.pid)
            child.kill()
        deadline = self._clock() + INSIST_S
        while _children(self.seats) and self._clock() < deadline:
            self._wait(INSIST_S)

    def _wait(self, timeout_s: float) -> bool:
        """Take one event while stopping; whether it was another request to stop."""
        event = self._next(timeout_s)
        if isinstance(event, Order):
            event.done("the mesh stops")
        if isinstance(event, Ended) and (seat := self._seat(event.child)):
            seat.forget(event.child)
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
        if seat.role.stage is Stage.WORKER:
            self._mourn(child.pid)
        was_asked = child is seat.leaving
        seat.forget(child)
        if was_asked:
            log.info("%s, pid %d, ended as asked: %s", seat.role.name, child.pid, child.exit.reason)
            self._publish()
            return
        verdict = seat.policy.died(self._clock(), child.exit.code)
        if isinstance(verdict, GiveUp):
            seat.failure, seat.failure_code = f"{child.exit.reason}: {verdict.why}", child.exit.code
            self._report(seat, seat.failure)
        else:
            seat.restart_at = verdict.at
            self._report(seat, f"{child.exit.reason}; starting it again in {verdict.at - self._clock():.1f} s")
        self._publish()

    def _seat(self, child: Child) -> Seat | None:
        return next((seat for seat in self.seats if child in seat.children), None)

    def _report(self, seat: Seat, what: str) -> None:
        lines = seat.last_exit.last_lines if seat.last_exit else ()
        shown = "".join(f"\n    {line}" for line in (lines if seat.failure else lines[-1:]))
        self._note(seat, f"ended: {what}", shown)

    def _note(self, seat: Seat, what: str, shown: str = "") -> None:
        """Say something of a role in the launcher's log, in its own, and to the person at the console."""
        line = f"{seat.role.name} {what}" if what.startswith("ended") else f"{seat.role.name}: {what}"
        log.error("%s", line)
        seat.log.write(Record(time.time(), "ERROR", seat.role.name, what))
        self._tell(f"{line}{shown}")

    def _publish(self) -> None:
        write_roles(self._home, [seat.record() for seat in self.seats])


def _children(seats: Iterable[Seat]) -> list[Child]:
    return [child for seat in seats for child in seat.children]
