"""A mesh in one process: the real client library over plain functions, messages packed as on the wire."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, Self

from clients.config import Config
from clients.errors import Cancelled, Unreachable
from clients.index import (
    IndexClient,
)
from clients.llm import (
    LLMClient,
)
from clients.mesh import Ragq
from clients.overview import MeshStatus, ProxyReport
from clients.packing import pack, unpack
from clients.status import ServiceStatus, WorkerStatus
from clients.waiter import waiting
from clients.wire import Method
from tests.unit.cli.desk_services import GENERATOR, IndexSide, LLMSide

__all__ = ["GENERATOR", "Desk", "session_of", "unreachable"]


class Desk(Ragq):
    """Ragq whose services are objects of this process."""

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self.llm_side = LLMSide()
        self.index_side = IndexSide()
        self._clients = {"llm": Direct(self.llm_side), "index": Direct(self.index_side)}  # type: ignore[assignment]
        self.llm = LLMClient(self.client("llm"))
        self.index = IndexClient(self.client("index"))
        self.down: set[str] = set()

    def status(self, timeout_s: float = 2.0) -> MeshStatus:
        states = [self._state(name) for name in ("llm", "index")]
        return MeshStatus(states, [ProxyReport(s.service, 0, "tcp://127.0.0.1:7781", s) for s in states])

    def _state(self, name: str) -> ServiceStatus:
        if name in self.down:
            return ServiceStatus(name, "down", note="nobody answers at tcp://127.0.0.1:7781")
        worker = WorkerStatus("w1", 12, "here", "ready", 8, 0, 61.0, 212_000_000)
        return ServiceStatus(name, "ready", [worker], pid=11, up_s=61.0, num_calls=7, p95_s=0.038)

    def close(self) -> None:
        pass


class Direct:
    """A client that calls a function named after the method."""

    def __init__(self, side: Any) -> None:
        self._side = side

    def call(self, method: Method[Any, Any, Any], request: Any, *, timeout_s: float | None = None) -> Any:
        reply = self._serve(method, request)
        return unpack(method.reply, pack(reply))

    def call_many(
        self,
        method: Method[Any, Any, Any],
        requests: list[Any],
        *,
        on_reply: Callable[[int, Any], object] | None = None,
        timeout_s: float | None = None,
    ) -> Any:
        replies = []
        for number, request in enumerate(requests):
            replies.append(self.call(method, request))
            if on_reply is not None:
                on_reply(number, replies[-1])
        return replies

    def stream(self, method: Method[Any, Any, Any], request: Any, *, timeout_s: float | None = None) -> Any:
        return DirectStream(self._serve(method, request))

    def _serve(self, method: Method[Any, Any, Any], request: Any) -> Any:
        if self._side.error is not None:
            raise self._side.error
        handler: Callable[[Any], Any] = getattr(self._side, method.name.partition(".")[2])
        return handler(unpack(method.request, pack(request)))


class DirectStream:
    """Events of a generator, its value as the reply; closing cancels, from any thread."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events, self._value, self.closed = events, None, threading.Event()

    def __iter__(self) -> DirectStream:
        return self

    def __next__(self) -> Any:
        with waiting(self.close):
            return self._following()

    def _following(self) -> Any:
        if self.closed.is_set():
            raise Cancelled("the caller gave up")
        try:
            return next(self._events)
        except StopIteration as end:
            self._value = end.value or self._value
            raise

    @property
    def reply(self) -> Any:
        for _ in self:
            pass
        return self._value

    def close(self) -> None:
        self.closed.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def session_of(desk: Desk) -> Any:
    """What a command is given, over this mesh."""
    return SimpleNamespace(mesh=lambda timeout_s=30.0: desk, config=lambda: desk.config, debug=False)


def unreachable() -> Unreachable:
    return Unreachable("nobody answers at tcp://127.0.0.1:7781", help="start the mesh: ragq up")
