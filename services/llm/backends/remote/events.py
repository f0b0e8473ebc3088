"""What do the bytes of an event stream say (server-sent events, WHATWG HTML 9.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from clients.errors import BackendError

MAX_EVENT_BYTES = 4 << 20
BREAK = re.compile(rb"\r\n|\n|\r")
BOM = b"\xef\xbb\xbf"


class EventReader:
    """Cuts bytes into events, wherever the network has cut them."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._num_bytes = 0
        self._is_first = True
        self._was_return = False

    def feed(self, piece: bytes) -> Iterator[str]:
        """The data of every event that ``piece`` completes.

        Raises:
            BackendError: an event is longer than 4 MiB.
        """
        if not piece:
            return
        ours = piece.removeprefix(b"\n") if self._was_return else piece  # the other half of a CRLF
        self._was_return = piece.endswith(b"\r")
        *lines, self._rest = BREAK.split(self._rest + ours)
        for line in lines:
            if self._is_first:
                self._is_first = False
                line = line.removeprefix(BOM)  # noqa: PLW2901 - the same line without its mark
            if line:
                self._take(line)
            elif self._data:
                yield b"\n".join(self._data).decode("utf-8", "replace")
                self._data, self._num_bytes = [], 0
        if self._num_bytes + len(self._rest) > MAX_EVENT_BYTES:
            raise BackendError(f"the server sent an event of more than {MAX_EVENT_BYTES >> 20} MiB")

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name in (b"data", b"error"):  # llama.cpp has written errors as a field of their own
            self._data.append(value.removeprefix(b" "))
            self._num_bytes += len(value)


def read_events(pieces: Iterable[bytes]) -> Iterator[str]:
    """The data of every whole event of a stream; what the end cuts off is dropped."""
    reader = EventReader()
    for piece in pieces:
        yield from reader.feed(piece)
