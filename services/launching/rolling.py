"""How are the processes of a running mesh replaced, or taken out, one after another, so that no call is lost?"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.launching.roles import Seat

LEAVE_S = 35.0
SETTLE_S = 300.0
INTERVAL_S = 0.1


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asks of a running mesh.

    Attributes:
        names: of roles; when they come back also of services and kinds, and none means all.
        comes_back: start a new process in the place of each; otherwise leave it empty.
        tell: hears a line about each step.
        done: hears the end: empty, or what went wrong.
    """

    names: tuple[str, ...]
    comes_back: bool
    tell: Callable[[str], None]
    done: Callable[[str], None]

    def means(self, seat: Seat, name: str) -> bool:
        """Whether ``name`` means this seat; what is taken out has to be named exactly."""
        return seat.answers_to(name) if self.comes_back else name == seat.role.name


class Roll:
    """One order being carried out, a process at a time; the next goes when the one before it serves.

    Args:
        seats: those that the order names.
        launch: starts the process of a seat.
    """

    def __init__(self, order: Order, seats: Sequence[Seat], launch: Callable[[Seat], None]) -> None:
        self._order, self._launch = order, launch
        self._to_come = deque(seats)
        self._seat: Seat | None = None
        self._by = 0.0
        self._settled: threading.Event | None = None
        self.is_over = False

    def turn(self, now: float) -> None:
        """Do what is due; called several times a second."""
        if self._seat is None:
            self._next(now)
        elif self._settled is None:
            self._leave(self._seat, now)
        else:
            self._settle(self._seat, self._settled, now)

    def _next(self, now: float) -> None:
        if not self._to_come:
            self.end("")
            return
        seat = self._seat = self._to_come.popleft()
        seat.restart_at, seat.failure, seat.failure_code = None, "", 0
        self._by = now + LEAVE_S
        if seat.child:
            self._order.tell(f"{seat.role.name}: pid {seat.child.pid} ends")
            seat.leaving, seat.child = seat.child, None
            seat.leaving.terminate()
        self._leave(seat, now)

    def _leave(self, seat: Seat, now: float) -> None:
        if seat.leaving and now > self._by:
            self._order.tell(f"{seat.role.name}: pid {seat.leaving.pid} did not end in {LEAVE_S:.0f} s; killing it")
            seat.leaving.kill()
            self._by = now + LEAVE_S
        elif self._order.comes_back and (not seat.leaving or seat.role.can_follow()):
            self._start(seat, now)
        elif not seat.leaving:
            self._order.tell(f"{seat.role.name}: stopped")
            self._seat = None

    def _start(self, seat: Seat, now: float) -> None:
        self._launch(seat)
        self._by, self._settled = now + SETTLE_S, threading.Event()
        if seat.child:
            ask = (seat, self._settled)
            threading.Thread(target=self._ask, args=ask, name=f"waits for {seat.role.name}", daemon=True).start()

    def _settle(self, seat: Seat, settled: threading.Event, now: float) -> None:
        if seat.failure:
            self.end(f"{seat.role.name}: {seat.failure}")
        elif settled.is_set() and not seat.leaving:
            self._order.tell(f"{seat.role.name}: pid {seat.child.pid if seat.child else 0} serves")
            self._seat = self._settled = None
        elif now > self._by:
            self.end(f"{seat.role.name} did not become ready in {SETTLE_S:.0f} s")

    def end(self, failure: str) -> None:
        """No more of it; what has not been replaced stays as it is."""
        if failure and self._to_come:
            failure += f"; left as they are: {', '.join(seat.role.name for seat in self._to_come)}"
        self.is_over = True
        self._order.done(failure)

    def _ask(self, seat: Seat, settled: threading.Event) -> None:
        """Until the process of the moment serves; one that died meanwhile has a successor, which is asked instead."""
        pause = threading.Event()
        while not (self.is_over or seat.failure):
            child = seat.child
            if child and seat.role.is_settled(child.pid):
                settled.set()
                return
            pause.wait(INTERVAL_S)
