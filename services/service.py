"""What an author of a service writes: a class whose plain methods serve the methods of a contract."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

from clients.config import Config
from clients.errors import Cancelled, DeadlineExceeded
from clients.waiter import Waiter
from clients.wire import Clock, Method

F = TypeVar("F", bound=Callable[..., Any])


class Signal(Waiter):
    """Whether the caller gave up; used like ``threading.Event``, and what is waited for through it ends at once."""

    __slots__ = ()

    def set(self) -> None:
        """The caller gave up."""
        self.cancel()

    def is_set(self) -> bool:
        """Whether the caller gave up."""
        return self.is_cancelled()


@dataclass(slots=True)
class Call:
    """What a handler may know of the call it serves.

    Calls that the handler makes to other services through the client library end with it: they wait
    no longer than its own deadline, and are cancelled when its caller gives up.

    Attributes:
        deadline: moment on this process's monotonic clock when nobody waits any more.
        cancelled: set when the caller gave up.
        input: the chunks that the caller streams, of the method's ``input`` type; taking one may wait. Empty for a
            method without.
    """

    deadline: float
    clock: Clock = time.monotonic
    cancelled: Signal = field(default_factory=Signal)
    input: Iterator[Any] = field(default_factory=lambda: iter(()))

    @property
    def remaining_s(self) -> float:
        """Seconds left; never below zero."""
        return max(0.0, self.deadline - self.clock())

    def check(self) -> None:
        """Raise Cancelled or DeadlineExceeded when nobody waits for the answer; call it between steps."""
        if self.cancelled.is_set():
            raise Cancelled("the caller gave up")
        if self.clock() >= self.deadline:
            raise DeadlineExceeded("the time of the call ran out while it was worked on")


class Handler(Protocol):
    """A function that serves a method: ``(request, call) -> reply``.

    A streaming one is a generator: it yields events and returns the reply.
    """

    def __call__(self, request: Any, call: Call) -> Any:
        """Serve one call."""
        ...


def serves(method: Method[Any, Any, Any]) -> Callable[[F], F]:
    """Mark a method of a Service as the one that serves ``method``."""

    def mark(function: F) -> F:
        function.__serves__ = method  # type: ignore[attr-defined]
        return function

    return mark


class Service:
    """Base of every service.

    ``start`` runs once in the worker process before it takes calls; handlers run in threads, at
    most ``slots`` at a time; ``stop`` runs after the last call. A handler reports a failure by
    raising from the error tree; anything else becomes Internal with an id.

    Attributes:
        slots: calls that one worker takes at a time, unless ragq.yml says otherwise.
        max_stall_s: seconds without a beat, as when a library holds the interpreter, after which proxies give up the
            calls of this worker; 0 means never.
        renewed: what a service calls, from any thread, when ``handlers`` or ``elsewhere`` have come to say something
            else; its worker tells the proxies.
    """

    name: ClassVar[str]
    slots: ClassVar[int] = 8
    max_stall_s: ClassVar[float] = 60.0

    def __init__(self, config: Config) -> None:
        self.config = config
        self.renewed: Callable[[], None] = _nobody_asks

    def start(self) -> None:
        """Load what is needed."""

    def stop(self) -> None:
        """Let go of it."""

    def note(self) -> str:
        """One line about this worker for the status page; empty when there is nothing to say."""
        return ""

    def elsewhere(self) -> list[str]:
        """Names of methods that another worker of this service serves, now or soon: their calls wait for it."""
        return []

    def handlers(self) -> dict[Method[Any, Any, Any], Handler]:
        """Every method that this service serves."""
        members = (getattr(self, name) for name in dir(type(self)))
        return {m.__serves__: m for m in members if hasattr(m, "__serves__")}


def _nobody_asks() -> None:
    """No worker serves this service yet; it will ask when it does."""
