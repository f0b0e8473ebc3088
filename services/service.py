"""What an author of a service writes: a class whose plain methods serve the methods of a contract."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

from clients.config import Config
from clients.errors import Cancelled, DeadlineExceeded
from clients.wire import Clock, Method

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(slots=True)
class Call:
    """What a handler may know of the call it serves.

    Attributes:
        deadline: moment on this process's monotonic clock when nobody waits any more.
        cancelled: set when the caller gave up.
    """

    deadline: float
    clock: Clock = time.monotonic
    cancelled: threading.Event = field(default_factory=threading.Event)

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
    """

    name: ClassVar[str]
    slots: ClassVar[int] = 8

    def __init__(self, config: Config) -> None:
        self.config = config

    def start(self) -> None:
        """Load what is needed."""

    def stop(self) -> None:
        """Let go of it."""

    def note(self) -> str:
        """One line about this worker for the status page; empty when there is nothing to say."""
        return ""

    def handlers(self) -> dict[Method[Any, Any, Any], Handler]:
        """Every method that this service serves."""
        members = (getattr(self, name) for name in dir(type(self)))
        return {m.__serves__: m for m in members if hasattr(m, "__serves__")}
