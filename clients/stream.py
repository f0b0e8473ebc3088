"""How a program reads the events of a streaming call, and gives the chunks of one that takes them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Generic, Self, TypeVar

from .errors import DeadlineExceeded, RagqError
from .flow import Taken
from .link import Link
from .packing import Payload, pack, unpack
from .pending import Pending, outcome
from .waiter import waiting
from .wire import Method

R = TypeVar("R")
E = TypeVar("E")
GRACE_S = 1.0


class Stream(Generic[R, E]):
    """The events of a streaming call; leaving the loop or the ``with`` block cancels it."""

    def __init__(self, link: Link, method: Method[Any, R, E], call: Pending, idle_s: float) -> None:
        self._link, self._method, self._call, self._idle_s = link, method, call, idle_s
        self._events: queue.SimpleQueue[Payload | None] = queue.SimpleQueue()
        self._taken = Taken()
        self._reply: R | None = None
        if call.on_chunk is not None:
            call.on_chunk = self._events.put
        call.ended = self._end
        link.submit(call)

    def _end(self) -> None:
        self._events.put(None)

    @property
    def reply(self) -> R:
        """What came after the last event; reading it earlier drops the events that are left."""
        if self._reply is None:
            for _ in self:
                pass
        assert self._reply is not None
        return self._reply

    def __iter__(self) -> Stream[R, E]:
        return self

    def __next__(self) -> E:
        if self._reply is not None:
            raise StopIteration
        payload = self._next_payload()
        if payload is not None:
            num_chunks = self._taken.chunk(payload.size)
            if num_chunks:
                self._link.grant(self._call, num_chunks)
            return unpack(self._method.event, payload)
        self._events.put(None)  # whoever asks again meets the end again
        self._reply = unpack(self._method.reply, outcome(self._call))
        raise StopIteration

    def _next_payload(self) -> Payload | None:
        if not self._events.empty():
            return self._events.get()
        try:
            with waiting(self.close):
                return self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self) -> Payload | None:
        began = time.monotonic()
        while True:
            now = time.monotonic()
            idle_by = max(began, self._call.moved_at) + self._idle_s
            over_by = self._call.deadline + GRACE_S  # the call itself ends by then
            try:
                return self._events.get(timeout=max(0.0, min(idle_by, over_by) - now))
            except queue.Empty:
                if time.monotonic() >= max(began, self._call.moved_at) + self._idle_s:
                    raise self._stood_still() from None
                if time.monotonic() >= over_by:
                    raise DeadlineExceeded(f"{self._method.name} took longer than it was given") from None

    def _stood_still(self) -> RagqError:
        return DeadlineExceeded(
            f"nothing came of {self._method.name} for {self._idle_s:g} s", help="idle_s sets how long that may be"
        )

    def close(self) -> None:
        """Cancel the call unless it has ended."""
        if self._call.outcome is None:
            self._link.cancel(self._call)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        with suppress(AttributeError, RuntimeError):
            self.close()


class Feeder:
    """Gives the chunks of a program to a call, from a thread of its own; no more than the call has room for."""

    def __init__(self, link: Link, call: Pending, chunks: Iterable[object]) -> None:
        self._link, self._call, self._chunks = link, call, chunks
        self._room = threading.Event()
        call.on_room = self._room.set

    def start(self) -> None:
        """Begin; the thread ends with the chunks, or with the call."""
        threading.Thread(target=self._run, name=f"ragq input of {self._call.name}", daemon=True).start()

    def _run(self) -> None:
        try:
            for chunk in self._chunks:
                if not self._give(pack(chunk)):
                    return
            self._give(None)
        except BaseException as error:  # noqa: BLE001 - whatever the program's iterable raises is the call's outcome
            self._link.cancel(self._call, error)

    def _give(self, payload: Payload | None) -> bool:
        """Whether the call goes on; a chunk is on its way then."""
        call = self._call
        assert call.input is not None
        call.input.add(payload)
        self._link.pump(call)
        while payload is not None and call.input.waiting and call.outcome is None:
            self._room.wait()
            self._room.clear()
        return call.outcome is None
