"""A program that calls a service at an even rate and writes a line for each outcome; and how a test runs it.

::

    python -m tests.chaos.caller METHOD RATE SECONDS MARKS ADDRESS...

SIGTERM ends it when every call has its outcome. SECONDS is how long the service holds a call, or, of the
method ``legacy``, how long a REQ socket waits for an answer. MARKS is a file in which the service notes each run of
a call, or empty.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import msgpack
import zmq

from clients import Client, RagqError, sockets
from tests.mesh.processes import Process, Processes
from tests.mesh.trial import STEP, WAIT, Wait


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one call ended.

    Attributes:
        mark: of this call alone.
        at: moment on the clock of this machine.
        pid: of the worker that answered, or 0.
        error: the class's name and the message, or empty.
    """

    mark: str
    at: float
    took_s: float
    pid: int = 0
    error: str = ""


class Caller:
    """The program as a test sees it."""

    def __init__(self, process: Process, path: Path) -> None:
        self.process = process
        self._path = path

    def outcomes(self) -> list[Outcome]:
        """Those so far."""
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True) if self._path.exists() else []
        return [Outcome(**json.loads(line)) for line in lines if line.endswith("\n")]

    def failures(self) -> Counter[str]:
        """What went wrong so far, and how often."""
        return Counter(outcome.error for outcome in self.outcomes() if outcome.error)

    def finish(self, within_s: float = 60.0) -> list[Outcome]:
        """Let it end what it began; how all of its calls ended."""
        self.process.terminate()
        assert self.process.wait(within_s) == 0
        return self.outcomes()


def call_at_a_rate(
    mesh: Processes, method: str, rate: float, *, seconds: float = 0.0, marks: Path | None = None,
    addresses: Sequence[str] = (), on: Callable[[list[str]], list[str]] = list,
) -> Caller:  # fmt: skip
    """Start the program; it ends with the mesh."""
    out = mesh.path.with_name(f"outcomes-{len(mesh.started)}")
    arguments = [method, str(rate), str(seconds), str(marks or ""), str(out), *(addresses or mesh.fronts)]
    return Caller(mesh.spawn(on([sys.executable, "-m", "tests.chaos.caller", *arguments])), out)


@contextmanager
def calls_to(method: str, addresses: Sequence[str], seconds: float, marks: str) -> Iterator[Callable[[str], int]]:
    """What makes one call, given its mark, and returns the pid that answered."""
    if method == "legacy":
        yield legacy_calls(addresses[0], seconds)
        return
    with Client(addresses) as client:
        kind = {"wait": WAIT, "step": STEP}[method]
        yield lambda mark: client.call(kind, Wait(seconds, marks, mark)).pid


def legacy_calls(address: str, wait_s: float) -> Callable[[str], int]:
    """Calls by a REQ socket, one for each thread, as the older mesh's clients make them; a silent one is replaced."""
    own = threading.local()

    def call(_mark: str) -> int:
        if not hasattr(own, "socket"):
            own.socket = sockets.context().socket(zmq.REQ)
            own.socket.set(zmq.LINGER, 0)
            own.socket.set(zmq.RCVTIMEO, int(wait_s * 1000))
            own.socket.connect(address)
        try:
            own.socket.send(msgpack.packb({"cmd": "LLM_CONFIG"}))
            answer = msgpack.unpackb(own.socket.recv())
        except zmq.Again:
            own.socket.close()
            del own.socket
            raise
        if answer["code"] != 200:
            raise RagqError(answer["error"])
        return 0

    return call


def main(method: str, rate: str, seconds: str, marks: str, out: str, *addresses: str) -> None:
    is_over, pause_s, begun = threading.Event(), 1 / float(rate), list[Future[None]]()
    signal.signal(signal.SIGTERM, lambda *_: is_over.set())
    with (
        Path(out).open("a", encoding="utf-8", buffering=1) as file,
        calls_to(method, addresses, float(seconds), marks) as call,
        ThreadPoolExecutor(64) as pool,
    ):

        def one_call(mark: str) -> None:
            began, pid, error = time.monotonic(), 0, ""
            try:
                pid = call(mark)
            except (RagqError, zmq.ZMQError) as caught:
                error = f"{type(caught).__name__}: {caught}"
            now = time.monotonic()
            file.write(json.dumps(asdict(Outcome(mark, now, now - began, pid, error))) + "\n")

        due = time.monotonic()
        while not is_over.wait(max(0.0, due - time.monotonic())):
            begun.append(pool.submit(one_call, str(len(begun))))
            due += pause_s
        for each in begun:
            each.result()


if __name__ == "__main__":
    main(*sys.argv[1:])
