"""What is written down about what happens, and how is it read again: JSON lines, a file per role, rotated."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

MAX_BYTES = 5 << 20
NUM_OLD = 3
MAX_LINE_CHARS = 8000
POLL_S = 0.3


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a log.

    Attributes:
        time: seconds since 1970.
        level: of ``logging``; ``OUTPUT`` is what a process printed itself.
        trace: the traceback, when there is one.
    """

    time: float
    level: str
    role: str
    text: str
    logger: str = ""
    trace: str = ""

    def line(self) -> str:
        """As one line of JSON."""
        said = {name: value for name, value in asdict(self).items() if value != "" or name == "text"}
        return json.dumps(said, ensure_ascii=False)

    def human(self) -> str:
        """As people read it."""
        clock = time.strftime("%H:%M:%S", time.localtime(self.time))
        trace = f"\n{self.trace}" if self.trace else ""
        return f"{clock} {self.level.lower():<7} {self.role:<12} {self.text}{trace}"


def parse(line: str, role: str) -> Record:
    """A line of a log, or of a process's output, as a record; what is no record of ours is OUTPUT."""
    try:
        found = json.loads(line)
        return Record(
            float(found["time"]), str(found["level"]), str(found.get("role", role)), str(found["text"]), *_extras(found)
        )
    except (ValueError, TypeError, KeyError):
        return Record(time.time(), "OUTPUT", role, line)


def _extras(found: dict[str, object]) -> tuple[str, str]:
    return str(found.get("logger", "")), str(found.get("trace", ""))


class _Lines(logging.Formatter):
    def __init__(self, role: str, *, as_json: bool) -> None:
        super().__init__()
        self._role, self._as_json = role, as_json

    def format(self, record: logging.LogRecord) -> str:
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        made = Record(round(record.created, 3), record.levelname, self._role, record.getMessage(), record.name, trace)
        return made.line() if self._as_json else made.human()


def set_up(role: str, level: str, stream: IO[str] | None = None) -> None:
    """Send this process's log to ``stream`` (stderr): text on a terminal, JSON lines elsewhere."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Lines(role, as_json=not stream.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("httpx", "chromadb", "watchdog", "asyncio"):
        logging.getLogger(chatty).setLevel(max(root.level, logging.WARNING))


class LogFile:
    """A log that is turned over when it has grown to ``max_bytes``; the last ``num_old`` are kept."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, num_old: int = NUM_OLD) -> None:
        self.path = path
        self._max_bytes, self._num_old = max_bytes, num_old
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")

    def write(self, record: Record) -> None:
        """Append a record. A full disk costs the line, not the process that writes it."""
        line = (record.line() + "\n").encode()
        with self._lock:
            try:
                if self._file.tell() + len(line) > self._max_bytes:
                    self._turn_over()
                self._file.write(line)
                self._file.flush()
            except OSError as error:
                print(f"cannot write {self.path}: {error.strerror}", file=sys.stderr)  # noqa: T201 - the log itself is what fails

    def _turn_over(self) -> None:
        self._file.close()
        for number in range(self._num_old, 0, -1):
            older = old_name(self.path, number - 1)
            if older.exists():
                older.replace(old_name(self.path, number))
        self._file = self.path.open("ab")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()


class ToFile(logging.Handler):
    """Sends the log of this process to a LogFile."""

    def __init__(self, role: str, file: LogFile) -> None:
        super().__init__()
        self._role, self._file = role, file

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self._file.write(
            Record(round(record.created, 3), record.levelname, self._role, record.getMessage(), record.name)
        )


def old_name(path: Path, number: int) -> Path:
    """Where the log of ``number`` turns ago lies."""
    return path.with_name(f"{path.name}.{number}") if number else path


def files(folder: Path, role: str = "") -> list[Path]:
    """The logs in a folder, of one role (``llm`` means llm, llm-2 and proxy-llm) or of all."""
    found = sorted(folder.glob("*.log"))
    return [path for path in found if not role or role in (path.stem, *path.stem.split("-"))]


def all_files(folder: Path) -> list[Path]:
    """Every log in a folder, those that were turned over too."""
    return sorted(folder.glob("*.log*"))


def last(paths: list[Path], num_lines: int) -> list[Record]:
    """The last records of several logs together, in order of time."""
    records = [record for path in paths for record in _tail(path, num_lines)]
    return sorted(records, key=lambda record: record.time)[-num_lines:]


def _tail(path: Path, num_lines: int) -> Iterator[Record]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in deque(file, maxlen=num_lines):
            yield parse(line.rstrip("\n"), path.stem)


def follow(paths: list[Path]) -> Iterator[Record]:
    """New records of several logs as they come, for ever; a log that was turned over is followed."""
    with ExitStack() as stack:
        ends = [stack.enter_context(closing(Follower(path))) for path in paths]
        while True:
            fresh = [record for end in ends for record in end.read()]
            yield from sorted(fresh, key=lambda record: record.time)
            time.sleep(POLL_S)


class Follower:
    """Reads a log from its end on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open(encoding="utf-8", errors="replace")
        self._file.seek(0, os.SEEK_END)

    def read(self) -> list[Record]:
        """What has come since the last time."""
        records = self._rest()
        if self._was_turned_over():
            self._file.close()
            self._file = self._path.open(encoding="utf-8", errors="replace")
            records += self._rest()
        return records

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _rest(self) -> list[Record]:
        return [parse(line.rstrip("\n"), self._path.stem) for line in self._file]

    def _was_turned_over(self) -> bool:
        return self._path.exists() and self._path.stat().st_ino != os.fstat(self._file.fileno()).st_ino
