"""Who uses the model of a role, so that it is closed behind the last call and not under it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from clients.config import Model
from services.models import Card
from services.service import Call

from .tally import Tallied, Tally

CHECK_S = 0.1
# Models that left are closed in threads of their own; a process that ends waits so long for them.
CLOSE_S = 10.0


class Filling(Protocol):
    """What fills a role."""

    @property
    def card(self) -> Card:
        """The model's description."""
        ...

    def close(self) -> None:
        """Let go of the model."""
        ...


M = TypeVar("M", bound=Filling)


@dataclass(slots=True, eq=False)
class Held(Generic[M]):
    """A model and the number of calls that use it.

    Attributes:
        num_bytes: of its weights by estimate; 0 if unknown.
    """

    model: M
    settings: Model
    num_bytes: int = 0
    num_calls: int = 0

    @property
    def tally(self) -> Tally:
        """What it has done, as far as it counts."""
        model: object = self.model
        return model.tally if isinstance(model, Tallied) else Tally(num_running=self.num_calls)

    @property
    def is_busy(self) -> bool:
        """Whether it works, or has work to do."""
        tally = self.tally
        return bool(tally.num_running or tally.num_waiting)


class Seat(Generic[M]):
    """The place of one model; safe for any number of threads.

    Args:
        name: of the role.

    Attributes:
        num_calls: how often a model was taken.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._changed = threading.Condition()
        self._leaving: list[Held[M]] = []
        self._past = Tally()
        self._is_closed = False
        self.held: Held[M] | None = None
        self.num_calls = 0

    @property
    def tally(self) -> Tally:
        """What every model that sat here has done."""
        with self._changed:
            held = [*self._leaving, *([self.held] if self.held else [])]
            return sum((one.tally for one in held), self._past)

    def count(self, *, tokens: int) -> None:
        """One pass of a model that does not count by itself."""
        with self._changed:
            self._past += Tally(tokens, 1)

    def take(self) -> Held[M] | None:
        """Use the model that sits here now, None when there is none; it stays open until it is given back."""
        with self._changed:
            if self.held is not None:
                self.held.num_calls += 1
                self.num_calls += 1
            return self.held

    def give_back(self, held: Held[M]) -> None:
        """One use less."""
        with self._changed:
            held.num_calls -= 1
            self._changed.notify_all()

    def put(self, held: Held[M] | None) -> None:
        """Seat another model, or none; the old one is closed behind its last call, in a thread of its own."""
        with self._changed:
            old, self.held = self.held, held
            if self._is_closed and held is not None:
                self.held = None
            if old is not None:
                self._leaving.append(old)
            self._changed.notify_all()
        if self._is_closed and held is not None:
            held.model.close()
        if old is not None:
            threading.Thread(target=self._retire, args=(old,), name=f"retire-{self._name}", daemon=True).start()

    def take_out(self, call: Call | None) -> Held[M] | None:
        """Empty the seat and wait until no call uses the model, which is closed then.

        Raises:
            Cancelled, DeadlineExceeded: ``call`` does not wait any more; the model sits where it sat.
        """
        with self._changed:
            held, self.held = self.held, None
            if held is None:
                return None
            try:
                while held.num_calls:
                    if call is not None:
                        call.check()
                    self._changed.wait(CHECK_S)
            except Exception:
                self.held = held
                self._changed.notify_all()
                raise
        self._end(held)
        return held

    def wait(self, until: Callable[[], bool], call: Call) -> None:
        """Wait for a change after which ``until`` holds."""
        with self._changed:
            while not until():
                call.check()
                self._changed.wait(CHECK_S)

    def tell(self) -> None:
        """Let those look again who wait."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Let go of every model at once; calls under way get an error from theirs."""
        with self._changed:
            self._is_closed = True
            held, self.held = self.held, None
            self._changed.notify_all()
        if held is not None:
            self._end(held)
        with self._changed:
            self._changed.wait_for(lambda: not self._leaving, CLOSE_S)

    def _retire(self, held: Held[M]) -> None:
        with self._changed:
            while held.num_calls and not self._is_closed:
                self._changed.wait()
        self._end(held)

    def _end(self, held: Held[M]) -> None:
        held.model.close()
        with self._changed:
            if held in self._leaving:
                self._leaving.remove(held)
            self._past += held.tally.done
            self._changed.notify_all()
