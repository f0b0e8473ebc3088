"""How an asyncio program reads the events of a streaming call, and gives the chunks of one that takes them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import suppress
from typing import Any, Generic, Self, TypeVar

from .alink import LoopLink
from .errors import DeadlineExceeded, RagqError
from .flow import Taken
from .packing import Payload, pack, unpack
from .pending import Pending, outcome
from .wire import Method

R = TypeVar("R")
E = TypeVar("E")


class Mailbox:
    """What came of a call and was not taken yet; the call holds it, so that a forgotten stream can end its call."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.payloads: deque[Payload] = deque()
        self.has_ended = False
        self._loop = loop
        self._reader: asyncio.Future[None] | None = None

    def put(self, payload: Payload) -> None:
        """A chunk came."""
        self.payloads.append(payload)
        self.stir()

    def end(self) -> None:
        """The call ended."""
        self.has_ended = True
        self.stir()

    def stir(self) -> None:
        """Let the reader look."""
        if self._reader is not None and not self._reader.done() and not self._loop.is_closed():
            self._reader.set_result(None)

    async def news(self, within_s: float) -> None:
        """Wait for something to look at, at most so long."""
        self._reader = self._loop.create_future()
        alarm = self._loop.call_later(within_s, self.stir)
        try:
            await self._reader
        finally:
            alarm.cancel()


class AsyncStream(Generic[R, E]):
    """The events of a streaming call; leaving the ``async with`` block, or forgetting it, cancels the call."""

    def __init__(self, link: LoopLink, method: Method[Any, R, E], call: Pending, idle_s: float) -> None:
        self._link, self._method, self._call, self._idle_s = link, method, call, idle_s
        self._mail = Mailbox(link.loop)
        self._taken = Taken()
        if call.on_chunk is not None:
            call.on_chunk = self._mail.put
        call.ended = self._mail.end
        link.submit(call)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        try:
            await self._until_news()
        except BaseException:
            self.close()
            raise
        if not self._mail.payloads:
            outcome(self._call)
            raise StopAsyncIteration
        payload = self._mail.payloads.popleft()
        num_chunks = self._taken.chunk(payload.size)
        if num_chunks:
            self._link.grant(self._call, num_chunks)
        return unpack(self._method.event, payload)

    async def _until_news(self) -> None:
        began = time.monotonic()
        while not (self._mail.payloads or self._mail.has_ended):
            left_s = max(began, self._call.moved_at) + self._idle_s - time.monotonic()
            if left_s <= 0:
                raise self._stood_still()
            await self._mail.news(left_s)

    def _stood_still(self) -> RagqError:
        return DeadlineExceeded(
            f"nothing came of {self._method.name} for {self._idle_s:g} s", help="idle_s sets how long that may be"
        )

    async def reply(self) -> R:
        """What came after the last event; events that were not read are dropped."""
        async for _ in self:
            pass
        return unpack(self._method.reply, outcome(self._call))

    def close(self) -> None:
        """Cancel the call unless it has ended."""
        if self._call.outcome is None:
            self._link.cancel(self._call)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        with suppress(AttributeError, RuntimeError):  # not made, or the loop is over
            if self._call.outcome is None:
                self._link.loop.call_soon_threadsafe(self._link.cancel, self._call)


Given = Iterable[object] | AsyncIterable[object]


class AsyncFeeder:
    """Gives the chunks of a program to a call, in a task of its own; no more than the call has room for."""

    def __init__(self, link: LoopLink, call: Pending, chunks: Given) -> None:
        self._link, self._call, self._chunks = link, call, chunks
        self._room = asyncio.Event()
        call.on_room = self._room.set

    def start(self) -> None:
        """Begin; the task ends with the chunks, or with the call."""
        task = self._link.loop.create_task(self._run(), name=f"ragq input of {self._call.name}")
        told = self._call.ended

        def ended() -> None:
            told()
            if not self._link.loop.is_closed():
                task.cancel()

        self._call.ended = ended

    async def _run(self) -> None:
        try:
            async for chunk in _each(self._chunks):
                if not await self._give(pack(chunk)):
                    return
            await self._give(None)
        except asyncio.CancelledError:
            self._link.cancel(self._call)
        except Exception as error:  # noqa: BLE001 - whatever the program's iterable raises is the call's outcome
            self._link.cancel(self._call, error)

    async def _give(self, payload: Payload | None) -> bool:
        """Whether the call goes on; a chunk is on its way then."""
        call = self._call
        assert call.input is not None
        call.input.add(payload)
        self._link.pump(call)
        while payload is not None and call.input.waiting and call.outcome is None:
            self._room.clear()
            await self._room.wait()
        return call.outcome is None


async def _each(chunks: Given) -> AsyncIterator[object]:
    if isinstance(chunks, AsyncIterable):
        async for chunk in chunks:
            yield chunk
    else:
        for chunk in chunks:
            yield chunk
