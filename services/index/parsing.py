"""How are foreign files opened without letting them hang or kill the service: in a child process, within limits."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, Self, cast

import services
from clients.errors import BackendError

from .loaders import CHILD_KINDS, Heading, Loaded, Seen, SeenLine, Unreadable, Unseen, kind_of, load, load_text
from .parse import read_message, write_message

MEMORY_BYTES = 3 << 30
MEMORY_PER_BYTE = 12
TEXTS = {"text/plain": "plain", "text/markdown": "markdown"}
ROOT = Path(services.__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Limit:
    """How long the child may take, what it is busy with then, and which setting says so."""

    timeout_s: float
    what: str
    key: str

    @property
    def cpu_s(self) -> float:
        """Seconds of processor time; text recognition has several threads."""
        return self.timeout_s * (os.cpu_count() or 1)

    def passed(self) -> Unreadable:
        """It took longer."""
        return Unreadable(
            f"opening {self.what} took longer than {self.timeout_s:.0f} s", help=f"split it, or raise {self.key}"
        )

    def broke(self) -> Unreadable:
        """The child died of it."""
        return Unreadable(f"{self.what} made its parser fail", help="open it in an editor or viewer and save it again")


class Parser:
    """Opens contents; texts here, everything with a format of its own in a child that is kept for the next.

    Args:
        timeout_s: longest time for one content.
        max_pages: longest document.
    """

    def __init__(self, timeout_s: float, max_pages: int) -> None:
        self._timeout_s = timeout_s
        self._max_pages = max_pages
        self._child: subprocess.Popen[bytes] | None = None

    def parse(self, raw: bytes, name: str, media_type: str, seen: Seen | None = None) -> Loaded:
        """The text of a content.

        Args:
            raw: the bytes.
            name: its ending tells kinds of text apart.
            media_type: ``text/plain`` or ``text/markdown`` for a text in UTF-8, ``text/html`` for what a server called
                a page; for all else the content is looked at.
            seen: what was recognised in its pages that are pictures; None leaves pictures alone.

        Raises:
            Unreadable: says why and what to do; too slow and too large count.
            Unseen: pages are to be read first, with `read`.
        """
        if media_type in TEXTS and (text := _utf8(raw)) is not None:
            return load_text(text, name, TEXTS[media_type])
        if media_type == "text/html":
            name = "page.html"  # titles end in anything: "Node.js"
        if not raw.strip() or kind_of(raw, name) not in CHILD_KINDS:
            return load(raw, name, self._max_pages)
        lines = None if seen is None else {page: [[x.text, x.height] for x in seen[page]] for page in seen}
        return _loaded(self._ask(raw, {"name": name, "max_pages": self._max_pages, "seen": lines}))

    def read(self, raw: bytes, page: int, timeout_s: float) -> list[SeenLine]:
        """The text of a page that is a picture, as its letters look; the first page is 1.

        Raises:
            Unreadable: the page cannot be opened, or not in time.
        """
        match self._ask(raw, {"read": page}, Limit(timeout_s, f"page {page}", "index.ocr_timeout_s")):
            case {"lines": list(lines)}:
                return [SeenLine(text, height) for text, height in lines]
            case {"reason": str(reason), "fix": str(fix)}:
                raise Unreadable(reason, help=fix)
        raise BackendError("the parser's process answered with something else than lines")

    def draw(self, raw: bytes, page: int) -> bytes:
        """A page of a PDF or a picture as PNG; empty when it has none of this number, the first is 1.

        Raises:
            Unreadable: the file cannot be opened, or not in time.
        """
        match self._ask(raw, {"draw": page}):
            case {"png": bytes(png)}:
                return png
            case {"reason": str(reason), "fix": str(fix)}:
                raise Unreadable(reason, help=fix)
        raise BackendError("the parser's process answered with something else than a picture")

    def _ask(self, raw: bytes, question: Mapping[str, object], limit: Limit | None = None) -> dict[str, object]:
        limit = limit or Limit(self._timeout_s, "the file", "index.parse_timeout_s")
        child = self._child if self._child and self._child.poll() is None else self._start()
        memory_bytes = MEMORY_BYTES + MEMORY_PER_BYTE * len(raw)
        request = {"content": raw, "cpu_s": limit.cpu_s, "memory_bytes": memory_bytes, **question}
        with _Deadline(child, limit.timeout_s) as deadline:
            reply = _exchange(child, request)
        if reply is None:
            self.close()
            raise limit.passed() if deadline.passed else limit.broke()
        return reply

    def _start(self) -> subprocess.Popen[bytes]:
        self.close()
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        try:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "services.index.parse"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT,
            )  # fmt: skip
        except OSError as error:
            raise BackendError(f"the parser's process cannot be started: {error}") from error
        return self._child

    def close(self) -> None:
        """End the child."""
        if self._child is None:
            return
        self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                _close(stream)
        self._child = None


class _Deadline:
    """Kills the child when the block takes too long; the read in the block ends with it."""

    def __init__(self, child: subprocess.Popen[bytes], timeout_s: float) -> None:
        self.passed = False
        self._child = child
        self._timer = threading.Timer(timeout_s, self._kill)
        self._timer.daemon = True

    def _kill(self) -> None:
        self.passed = True
        self._child.kill()

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()


def _utf8(raw: bytes) -> str | None:
    """The text; None for a file that is called a text since it was opened before, and is in another encoding."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _exchange(child: subprocess.Popen[bytes], request: dict[str, object]) -> dict[str, object] | None:
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        write_message(cast("BinaryIO", child.stdin), request)
    except OSError:
        return None  # the child died; its last words are no reply
    return read_message(cast("BinaryIO", child.stdout))


def _close(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except OSError:
        return  # bytes that were still on their way to a dead child


def _loaded(reply: dict[str, object]) -> Loaded:
    match reply:
        case {"reason": str(reason), "fix": str(fix)}:
            raise Unreadable(reason, help=fix)
        case {"unseen": list(pages), "num_pictures": int(num_pictures)}:
            raise Unseen(pages, num_pictures)
        case {
            "text": bytes(text), "media_type": str(media_type), "pages": list(pages),
            "headings": list(headings), "blocks": list(blocks), "is_lines": bool(is_lines),
        }:  # fmt: skip
            marks = [Heading(*heading) for heading in headings]
            return Loaded(text.decode(), media_type, pages, marks, [(s, e) for s, e in blocks], is_lines)
    raise BackendError("the parser's process answered with something else than a text")
