"""One SOPHON device, as the process that has it: asked over a pipe, started again when it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from clients import errors
from clients.errors import BackendError, RagqError

from .frames import receive, send
from .port import Cells, Graph, Spec

ROOT = Path(__file__).resolve().parents[4]
TAIL_BYTES = 2000
MAX_LOG_BYTES = 1 << 20
STOP_S = 10.0
# A model of gigabytes comes from a slow disk and goes over a slow bus.
LOAD_S = 600.0
# Beside the simulator, where ``python -m compile.fetch`` found a C compiler: its threads give way to one another.
GIVE_WAY = "libragq_give_way.so"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bmodel runs.

    Attributes:
        driver: ``sail`` or ``runtime``.
        libraries: of the runtime; None is where libsophon lies.
    """

    path: Path
    driver: str = "sail"
    device: int = 0
    libraries: Path | None = None


class Device:
    """A bmodel on a device.

    Args:
        place: which, and through what.
        timeout_s: a pass that takes longer ends the process.

    Attributes:
        graphs: by name.

    Raises:
        RagqError: what the driver says.
        BackendError: the process died; with the last that it said.
    """

    def __init__(self, place: Place, timeout_s: float = 120.0) -> None:
        self._place, self._timeout_s = place, timeout_s
        self._lock = threading.Lock()
        self._kept: dict[str, dict[str, np.ndarray]] = {}
        self._numbers = count(1)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the device
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self.graphs = self._start()
        except RagqError:
            self.close()
            raise

    def keep(self, graph: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Put inputs that never change on the device; they come back after a new start."""
        with self._lock:
            self._ask({"keep": graph}, arrays)
            self._kept.setdefault(graph, {}).update(arrays)

    def reserve(self) -> int:
        """A memory for an answer; it is lost when the process dies, and says so."""
        number = next(self._numbers)
        with self._lock:
            self._revive()
            self._ask({"reserve": number}, {})
        return number

    def release(self, number: int) -> None:
        """Forget what an answer remembered; a process that is gone has forgotten it."""
        with self._lock, suppress(BackendError):
            self._ask({"release": number}, {})

    def run(
        self, graphs: Sequence[str], arrays: Mapping[str, np.ndarray], cells: Cells | None = None
    ) -> list[np.ndarray]:
        """As ``Driver.run``; waits while another pass runs."""
        where = [cells.number, cells.row] if cells else []
        with self._lock:
            self._revive()
            outputs = self._ask({"run": list(graphs), "cells": where}, arrays)
        return [outputs[str(place)] for place in range(len(outputs))]

    def close(self) -> None:
        """End the process; it lets go of the device by itself."""
        with self._lock:
            if self._process is not None:
                self._stop(self._process)
                self._process = None
            self._log.close()

    def _revive(self) -> None:
        if self._process is None:
            self._start()

    def _start(self) -> dict[str, Graph]:
        place = self._place
        command = [sys.executable, "-m", f"{__package__}.child", place.driver, str(place.path), str(place.device)]
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        # More threads only wait for each other: the work is the device's, and its simulator has one.
        environment = {"OMP_NUM_THREADS": "1"} | os.environ | {"PYTHONPATH": path} | _preloaded(place)
        self._process = subprocess.Popen(  # noqa: S603 - an argument list of our own words
            [*command, *([str(place.libraries)] if place.libraries else [])], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self._log, env=environment,
        )  # fmt: skip
        head, _ = self._answer(self._process, LOAD_S)
        for graph, arrays in self._kept.items():
            self._ask({"keep": graph}, arrays)
        return {graph["name"]: _graph(graph) for graph in head["graphs"]}

    def _ask(self, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        if self._process is None:
            raise BackendError(f"{self._name} has no process")
        try:
            send(_pipe(self._process.stdin), head, arrays)
        except BrokenPipeError as error:
            raise self._died() from error
        return self._answer(self._process, self._timeout_s)[1]

    def _answer(
        self, process: subprocess.Popen[bytes], timeout_s: float
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        alarm = threading.Timer(timeout_s, process.kill)
        alarm.start()
        try:
            head, arrays = receive(_pipe(process.stdout))
        except EOFError as error:
            raise self._died() from error
        finally:
            alarm.cancel()
        if "error" in head:
            raise _error(head)
        self._trim()
        return head, arrays

    def _died(self) -> BackendError:
        process, self._process = self._process, None
        status = self._stop(process) if process else 0
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        return BackendError(f"the process of {self._name} ended with {how}; it said: {self._tail() or 'nothing'}")

    def _stop(self, process: subprocess.Popen[bytes]) -> int:
        with process:
            _pipe(process.stdin).close()
            try:
                return process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                return process.wait()

    @property
    def _name(self) -> str:
        return f"SOPHON device {self._place.device}"

    def _tail(self) -> str:
        self._log.seek(max(0, os.fstat(self._log.fileno()).st_size - TAIL_BYTES))
        return self._log.read().decode(errors="replace").strip()

    def _trim(self) -> None:
        """The simulator says something at every pass."""
        if os.fstat(self._log.fileno()).st_size > MAX_LOG_BYTES:
            os.ftruncate(self._log.fileno(), 0)


def _preloaded(place: Place) -> dict[str, str]:
    library = place.libraries / GIVE_WAY if place.libraries else None
    return {"LD_PRELOAD": str(library)} if library and library.is_file() else {}


def _pipe(pipe: Any) -> Any:
    if pipe is None:
        raise BackendError("a process without a pipe")
    return pipe


def _graph(said: Mapping[str, Any]) -> Graph:
    inputs, outputs = (
        tuple(Spec(spec["name"], tuple(spec["shape"]), spec["dtype"]) for spec in said[side])
        for side in ("inputs", "outputs")
    )
    return Graph(said["name"], inputs, outputs, said["is_dynamic"])


def _error(head: Mapping[str, str]) -> RagqError:
    kind = getattr(errors, head["error"], BackendError)
    found: RagqError = kind(head["message"], help=head["help"])
    return found
