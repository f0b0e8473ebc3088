"""A small service for tests of what surrounds handlers."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from clients.config import Config
from clients.errors import NotFound
from clients.wire import Method, Nothing, unary
from services.service import Call, Handler, Service, serves


@dataclass(frozen=True, slots=True)
class Say:
    text: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    text: object


SAY = unary("desk.say", Say, Said)
COUNT = Method("desk.count", Say, Said, Say)
FAIL = unary("desk.fail", Say, Nothing)


class Desk(Service):
    name = "desk"
    slots = 2

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.num_said = 0
        self.closed: list[str] = []
        self.line = "fine"
        self.is_quiet = False

    def handlers(self) -> dict[Method[Any, Any, Any], Handler]:
        found = super().handlers()
        return {method: handler for method, handler in found.items() if not (self.is_quiet and method == SAY)}

    def elsewhere(self) -> list[str]:
        return [SAY.name] if self.is_quiet else []

    @serves(SAY)
    def say(self, request: Say, _call: Call) -> Said:
        self.num_said += 1
        return Said({1, 2} if request.text == "a set" else request.text)

    @serves(COUNT)
    def count(self, request: Say, call: Call) -> Generator[Say, None, Said]:
        try:
            for i in range(int(request.text)):
                call.check()
                yield Say(str(i))
            return Said("done")
        finally:
            self.closed.append(request.text)

    @serves(FAIL)
    def fail(self, request: Say, _call: Call) -> Nothing:
        match request.text:
            case "missing":
                raise NotFound("no such thing")
            case "memory":
                raise MemoryError
            case "exit":
                raise SystemExit(1)
        raise ValueError(request.text)

    def note(self) -> str:
        if not self.line:
            raise ValueError("no line")
        return self.line
