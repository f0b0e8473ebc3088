"""How an asyncio program calls one service: as many calls in flight as it has tasks, without a thread."""

from __future__ import annotations

import asyncio
import inspect
import os
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar

from .alink import LoopLink
from .astream import AsyncFeeder, AsyncStream, Given
from .client import IDLE_S, IN_FLIGHT, STREAM_TIMEOUT_S, Client, deadline_after, some_fronts, streaming
from .keys import Credential
from .packing import Payload, pack, unpack
from .pending import Pending, asking_status, outcome, pending
from .status import ServiceStatus
from .wire import Flag, Method

Q = TypeVar("Q")
R = TypeVar("R")
E = TypeVar("E")
Loop = asyncio.AbstractEventLoop


class AsyncClient:
    """A connection to one service for each loop that uses it; the arguments are those of Client.

    Cancelling a task cancels its call at the worker.
    """

    def __init__(
        self,
        address: str | Sequence[str],
        *,
        timeout_s: float = 30.0,
        credential: Credential | None = None,
        bulk: bool = False,
    ) -> None:
        self.addresses = some_fronts(address)
        self.timeout_s = timeout_s
        self._credential = credential
        self._flags = int(Flag.BULK) if bulk else 0
        self._links: dict[Loop, LoopLink] = {}
        _clients.add(self)

    @classmethod
    def beside(cls, client: Client) -> Self:
        """A client of the same service, with the same timeout and credential."""
        return cls(client.addresses, timeout_s=client.timeout_s, credential=client.credential)

    async def call(self, method: Method[Q, R, Any], request: Q, *, timeout_s: float | None = None) -> R:
        """Call a method and wait for its reply; tried again as Client.call is.

        Raises:
            RagqError: what the service reports, DeadlineExceeded, Unreachable or ConnectionLost.
        """
        call = pending(method, pack(request), deadline_after(timeout_s, self.timeout_s), flags=self._flags)
        return unpack(method.reply, await self._wait(call))

    async def call_many(
        self,
        method: Method[Q, R, Any],
        requests: Sequence[Q],
        *,
        on_reply: Callable[[int, R], object] | None = None,
        timeout_s: float | None = None,
    ) -> list[R]:
        """Call a method with many requests, a few in flight at a time; replies in the order given.

        ``on_reply`` is called with the number of a request and its reply, in the order in which they come;
        what it returns is awaited if it can be, and what it raises cancels the rest.
        """
        room = asyncio.Semaphore(IN_FLIGHT)

        async def one(number: int, request: Q) -> R:
            async with room:
                reply = await self.call(method, request, timeout_s=timeout_s)
                if on_reply is not None and inspect.isawaitable(heard := on_reply(number, reply)):
                    await heard
                return reply

        tasks = [asyncio.ensure_future(one(number, request)) for number, request in enumerate(requests)]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    def stream(
        self,
        method: Method[Q, R, E],
        request: Q,
        *,
        input: Given | None = None,  # noqa: A002 - what the method declares under this name
        timeout_s: float | None = None,
        idle_s: float = IDLE_S,
    ) -> AsyncStream[R, E]:
        """Call a streaming method; iterate over its events, then await ``reply()``.

        The chunks of a method that takes some come from ``input``, an iterable of either kind.
        """
        deadline = deadline_after(timeout_s, STREAM_TIMEOUT_S)
        call = streaming(method, request, deadline, flags=self._flags, has_input=input is not None)
        link = self.link()
        stream = AsyncStream(link, method, call, idle_s)
        if input is not None:
            AsyncFeeder(link, call, input).start()
        return stream

    async def status(self, timeout_s: float = 2.0) -> ServiceStatus:
        """What a proxy says of its service; it answers also when its queue is full."""
        return unpack(ServiceStatus, await self._wait(asking_status(deadline_after(timeout_s, 0.0))))

    async def close(self) -> None:
        """End every call of this loop as cancelled, and let go of its sockets."""
        link = self._links.pop(asyncio.get_running_loop(), None)
        if link is not None:
            link.close()
        self._forget_ended()

    def link(self) -> LoopLink:
        """The sockets of the loop that runs, opened by its first call."""
        loop = asyncio.get_running_loop()
        link = self._links.get(loop)
        if link is None or not link.is_alive():
            self._forget_ended()
            link = self._links[loop] = LoopLink(self.addresses, self._credential, loop)
        return link

    def _forget_ended(self) -> None:
        """Loops end without a word to those who lived in them."""
        for loop in [loop for loop in self._links if loop.is_closed()]:
            self._links.pop(loop).close()

    async def _wait(self, call: Pending) -> Payload:
        link = self.link()
        done = link.loop.create_future()

        def ended() -> None:
            if not (done.done() or link.loop.is_closed()):
                done.set_result(None)

        call.ended = ended
        link.submit(call)
        try:
            await done
        except BaseException:
            link.cancel(call)
            raise
        return outcome(call)

    def forked(self) -> None:
        """This is a child process now: the links belong to the parent, and nothing of them is touched."""
        _inherited.extend(self._links.values())
        self._links = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


_clients: weakref.WeakSet[AsyncClient] = weakref.WeakSet()
_inherited: list[LoopLink] = []


def _forked() -> None:
    for client in list(_clients):
        client.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
