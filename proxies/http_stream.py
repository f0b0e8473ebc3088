"""How does a blocking call serve an HTTP client that may go away at any moment?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from clients.errors import RagqError
from clients.waiter import Waiter, waiter

from .http_errors import describe

T = TypeVar("T")
MAX_THREADS = 64
Frames = Generator[object, None, None]
SSE_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class Threads:
    """Where blocking calls run; each belongs to one HTTP client."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(MAX_THREADS)

    async def run(self, function: Callable[[], T]) -> T:
        """Run a function in a thread, with this task's context."""
        return await anyio.to_thread.run_sync(function, limiter=self._limiter)

    async def call(self, request: Request, function: Callable[[], T]) -> T:
        """Run a function in a thread; what it asked of the mesh is cancelled when the client goes away."""
        async with watched(request.receive):
            return await self.run(function)


@asynccontextmanager
async def watched(receive: Receive) -> AsyncIterator[asyncio.Event]:
    """An event that is set when the client goes away; the calls of this task are cancelled then."""
    ours = waiter.get() or Waiter()
    waiter.set(ours)
    gone = asyncio.Event()

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()
        ours.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield gone
    finally:
        watcher.cancel()


class EventStream(Response):
    """Server-sent events from a blocking generator of JSON values.

    The first one is fetched by ``open`` before any header is sent, so that a failure before it has a status.
    """

    media_type = "text/event-stream"

    def __init__(self, threads: Threads, frames: Frames, first: object) -> None:
        self._threads, self._frames, self._first = threads, frames, first
        self.status_code = 200
        self.background = None
        self.init_headers(SSE_HEADERS)

    @classmethod
    async def open(cls, threads: Threads, request: Request, frames: Frames) -> EventStream:
        """The response, once its first event is there."""
        first = await threads.call(request, partial(next, frames))
        return cls(threads, frames, first)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the last one, or until the client is gone."""
        del scope
        try:
            async with watched(receive) as gone:
                await self._send_all(send, gone)
        finally:
            with anyio.CancelScope(shield=True):
                await self._threads.run(self._frames.close)

    async def _send_all(self, send: Send, gone: asyncio.Event) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        frame: object = self._first
        try:
            while frame is not None and not gone.is_set():
                await _send(send, json.dumps(frame, ensure_ascii=False))
                frame = await self._threads.run(partial(next, self._frames, None))
            if gone.is_set():
                return
            await _send(send, "[DONE]")
        except RagqError as error:
            await _send(send, json.dumps(describe(error), ensure_ascii=False))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send(send: Send, data: str) -> None:
    await send({"type": "http.response.body", "body": f"data: {data}\n\n".encode(), "more_body": True})
