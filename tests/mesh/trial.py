"""A service for tests of the mesh: it echoes, waits, counts, fails, writes down what it ran, and dies."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from clients import errors
from clients.config import Config
from clients.config import Service as Section
from clients.endpoint import Endpoint
from clients.wire import Method, Nothing, unary
from services.service import Call, Service, serves


@dataclass(frozen=True, slots=True)
class Blob:
    """Anything that travels."""

    text: str = ""
    data: bytes = b""
    array: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to hold a slot; before that the mark, or else the pid, is written to a file, where one is named."""

    seconds: float = 0.0
    path: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Who:
    """Which process answered."""

    pid: int


@dataclass(frozen=True, slots=True)
class Count:
    """How far to count, with how many bytes beside each number."""

    upto: int
    size: int = 0
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Number:
    """One number."""

    value: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Counted:
    """How far it came, and in which process."""

    upto: int
    pid: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What came in, and in which process."""

    num_chunks: int
    num_bytes: int
    pid: int


@dataclass(frozen=True, slots=True)
class Fail:
    """Which error to raise: a class of the tree, or ``ZeroDivisionError``."""

    kind: str
    message: str = "as asked"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the worker has done so far."""

    emitted: int
    cancelled: int


ECHO = unary("trial.echo", Blob, Blob)
WAIT = unary("trial.wait", Wait, Who)
STEP = unary("trial.step", Wait, Who, idempotent=False)
COUNT = Method("trial.count", Count, Counted, Number)
UPLOAD = Method("trial.upload", Wait, Taken, Nothing, idempotent=False, input=Number)
FAIL = unary("trial.fail", Fail, Nothing)
SEEN = unary("trial.seen", Nothing, Seen)
DIE = unary("trial.die", Wait, Nothing)
ABORT = unary("trial.abort", Wait, Nothing)
FREEZE = unary("trial.freeze", Wait, Who)
IGNORE = unary("trial.ignore", Wait, Who, idempotent=False)
UNSERVED = unary("trial.unserved", Nothing, Nothing)


class Trial(Service):
    """Serves all but UNSERVED."""

    name = "trial"
    slots = 8

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.emitted = 0
        self.cancelled = 0
        self._lock = threading.Lock()

    @serves(ECHO)
    def echo(self, request: Blob, _call: Call) -> Blob:
        return request

    @serves(WAIT)
    def wait(self, request: Wait, call: Call) -> Who:
        return self._hold(request, call)

    @serves(STEP)
    def step(self, request: Wait, call: Call) -> Who:
        return self._hold(request, call)

    def _hold(self, request: Wait, call: Call) -> Who:
        self._note(request)
        if call.cancelled.wait(request.seconds):
            with self._lock:
                self.cancelled += 1
        call.check()
        return Who(os.getpid())

    def _note(self, request: Wait) -> None:
        if request.path:
            with Path(request.path).open("a", encoding="utf-8") as file:
                file.write(f"{request.mark or os.getpid()}\n")

    @serves(COUNT)
    def count(self, request: Count, call: Call) -> Generator[Number, None, Counted]:
        for value in range(request.upto):
            yield Number(value, b"x" * request.size)
            self.emitted += 1
            call.cancelled.wait(request.pause_s)
        return Counted(request.upto, os.getpid())

    @serves(UPLOAD)
    def upload(self, request: Wait, call: Call) -> Taken:
        """Take every chunk, with a pause after each."""
        num_chunks = num_bytes = 0
        for number in call.input:
            assert number.value == num_chunks
            num_chunks, num_bytes = num_chunks + 1, num_bytes + len(number.data)
            call.cancelled.wait(request.seconds)
            call.check()
        return Taken(num_chunks, num_bytes, os.getpid())

    @serves(FAIL)
    def fail(self, request: Fail, _call: Call) -> Nothing:
        if request.kind == "ZeroDivisionError":
            raise ZeroDivisionError(request.message)
        kind: type[errors.RagqError] = getattr(errors, request.kind)
        raise kind(request.message, help="no help", retry_after_s=0.01)

    @serves(SEEN)
    def seen(self, _request: Nothing, _call: Call) -> Seen:
        return Seen(self.emitted, self.cancelled)

    @serves(DIE)
    def die(self, request: Wait, _call: Call) -> Nothing:
        self._note(request)
        os.kill(os.getpid(), signal.SIGKILL)
        return Nothing()

    @serves(ABORT)
    def abort(self, request: Wait, _call: Call) -> Nothing:
        self._note(request)
        os.abort()

    @serves(IGNORE)
    def ignore(self, request: Wait, _call: Call) -> Who:
        """Go on to the end, whatever became of the call."""
        self._note(request)
        time.sleep(request.seconds)
        return Who(os.getpid())

    @serves(FREEZE)
    def freeze(self, request: Wait, _call: Call) -> Who:
        """Hold the interpreter's lock, as a library in C that never lets go of it does."""
        self._note(request)
        ctypes.PyDLL(None).usleep(int(request.seconds * 1e6))
        return Who(os.getpid())


def trial_config(front: Endpoint, back: Endpoint, **options: Any) -> Config:
    """A configuration with the trial service."""
    section = Section(module="tests.mesh.trial:Trial", front_end=front, back_end=back, **options)
    return Config(services={"trial": section})
