"""What is one supervised process: how it starts, what it said, how it ended, and that it never outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from services.processes import parent
from services.processes.logs import MAX_LINE_CHARS, LogFile, parse

NUM_LAST_LINES = 20
MEMORY_EVENTS = Path("/sys/fs/cgroup/memory.events")


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended.

    Attributes:
        code: exit code; negative is the number of the signal that ended it.
        was_out_of_memory: the kernel killed it for want of memory.
        last_lines: what it printed last.
    """

    code: int
    was_out_of_memory: bool = False
    last_lines: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """In words: ``exit code 3``, ``signal SIGSEGV``."""
        if self.was_out_of_memory:
            return "killed by the kernel, out of memory"
        return f"signal {_signal_name(-self.code)}" if self.code < 0 else f"exit code {self.code}"

    @property
    def is_clean(self) -> bool:
        """Whether it ended as asked; some libraries pass SIGTERM on to themselves after an orderly end."""
        return self.code in (0, -signal.SIGTERM, 128 + signal.SIGTERM)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


class Child:
    """A process in a session of its own that lives no longer than this one.

    Its command must call ``services.processes.parent.watch_parent`` first.

    Args:
        name: of the role, for its log.
        command: program and arguments; no shell.
        log: where its output goes, line by line.
        on_exit: called once, from another thread, when it has ended.
        env: its environment.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: LogFile,
        on_exit: Callable[[Child], None],
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.exit: Exit | None = None
        self._reaping = threading.Lock()
        self._is_reaped = False
        self._log = log
        self._on_exit = on_exit
        self._last: deque[str] = deque(maxlen=NUM_LAST_LINES)
        self._out_of_memory_before = out_of_memory_kills()
        self._process, self._lifeline = _spawn(command, os.environ if env is None else env)
        self._reader = threading.Thread(target=self._read, name=f"output of {name}", daemon=True)
        self._reader.start()
        threading.Thread(target=self._wait, name=f"end of {name}", daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id, which is its group's too."""
        return self._process.pid

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(lambda: os.kill(self.pid, signal.SIGTERM))

    def kill(self) -> None:
        """End it and all that it started, now."""
        self._signal(lambda: _kill_group(self.pid))

    def _signal(self, send: Callable[[], None]) -> None:
        """Do it unless the process's entry is gone: then its number may be a stranger's."""
        # Popen.send_signal takes away the entry of one that has just ended, which the waiting thread needs.
        with self._reaping, suppress(ProcessLookupError):
            if self.exit is None and not self._is_reaped:
                send()

    def _read(self) -> None:
        output: IO[str] = self._process.stdout  # type: ignore[assignment]  # it is a pipe, see _spawn
        with output:
            for line in filter(str.strip, output):
                record = parse(line.rstrip()[:MAX_LINE_CHARS], self.name)
                self._last.append("\n".join(filter(None, (record.text, record.trace))))
                self._log.write(record)

    def _wait(self) -> None:
        code = self._reap()
        self._reader.join(timeout=1.0)
        os.close(self._lifeline)
        lost_memory = code == -signal.SIGKILL and out_of_memory_kills() > self._out_of_memory_before
        lines = [line for text in self._last for line in text.splitlines()]
        self.exit = Exit(code, lost_memory, tuple(lines[-NUM_LAST_LINES:]))
        self._on_exit(self)

    def _reap(self) -> int:
        """Wait for its end, and take away what it left; its exit code."""
        if not hasattr(os, "waitid"):
            return self._process.wait()
        # While its entry stands, its number cannot name a stranger's group.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        _kill_group(self.pid)
        with self._reaping:
            self._is_reaped = True
            return self._process.wait()


def _spawn(command: Sequence[str], env: Mapping[str, str]) -> tuple[subprocess.Popen[str], int]:
    """The process, and the end of the pipe whose closing tells it that we are gone."""
    reader, lifeline = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603 - an argument list of our own words
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            pass_fds=(reader,),
            env={**env, parent.VARIABLE: str(reader), "PYTHONUNBUFFERED": "1"},
        )
    except OSError:
        os.close(lifeline)
        raise
    finally:
        os.close(reader)
    return process, lifeline


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody is left; macOS says EPERM for a group of zombies
        os.killpg(pid, signal.SIGKILL)


def out_of_memory_kills() -> int:
    """How often the kernel has killed for memory in this control group; 0 where it does not tell."""
    try:
        lines = MEMORY_EVENTS.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
