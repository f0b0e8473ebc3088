"""A TCP relay that does to connections what bad networks do to them; a test turns its toxics while it runs."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

PIECE = 64 << 10
RST_AT_CLOSE = struct.pack("ii", 1, 0)
Piece = tuple[float, bytes]


@dataclass
class Toxics:
    """What happens to the bytes of one direction.

    Attributes:
        latency_s: every piece arrives so much later, and up to ``jitter_s`` later still.
        rate: bytes a second; 0 means as fast as they come.
        piece: bytes that are read and written at a time.
        limit: a connection is closed when so many bytes have passed; 0 means never.
        is_dark: nothing passes, and nothing breaks: as if the cable were cut.
    """

    latency_s: float = 0.0
    jitter_s: float = 0.0
    rate: float = 0.0
    piece: int = PIECE
    limit: int = 0
    is_dark: bool = False


@dataclass(eq=False)
class Passage:
    """One connection: the side that came to the relay, the side that the relay opened, and who carries the bytes."""

    near: socket.socket
    far: socket.socket
    carrier: asyncio.Task[None]
    is_forgotten: bool = False

    def reset(self) -> None:
        """Break both sides with RST."""
        for side in (self.near, self.far):
            side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_AT_CLOSE)
        self.carrier.cancel()


class Relay:
    """Listens at ``address`` and carries bytes to a port of this machine and back, in a thread of its own.

    Attributes:
        up: toxics towards the port.
        down: toxics on the way back.
        num_passages: connections that were made so far.
    """

    def __init__(self, port: int) -> None:
        self.up, self.down = Toxics(), Toxics()
        self.num_passages = 0
        self._target = ("127.0.0.1", port)
        self._passages: set[Passage] = set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0)
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def partition(self) -> None:
        """Nothing passes any more, either way."""
        self.up.is_dark = self.down.is_dark = True

    def heal(self) -> None:
        """What waited passes, and all that follows."""
        self.up.is_dark = self.down.is_dark = False

    def reset(self) -> None:
        """Break every connection with RST, wherever it stands in a message."""
        self._do(lambda: [passage.reset() for passage in self._passages])

    def forget(self) -> None:
        """Let the connections that are there carry nothing more, without an end; new ones do: a NAT that restarts."""
        self._do(lambda: [setattr(passage, "is_forgotten", True) for passage in self._passages])

    def half_close(self) -> None:
        """Tell the port that nothing more will come, on every connection; the way back stays open."""
        self._do(lambda: [passage.far.shutdown(socket.SHUT_WR) for passage in self._passages])

    def close(self) -> None:
        """End the connections and the relay."""
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(self._loop)])
        self._thread.join(10)
        self._loop.close()

    def _do(self, step: Callable[[], object]) -> None:
        async def now() -> None:
            step()

        asyncio.run_coroutine_threadsafe(now(), self._loop).result(10)

    def _run(self) -> None:
        with self._server, suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._accept())

    async def _accept(self) -> None:
        carriers = []
        try:
            while True:
                near, _ = await self._loop.sock_accept(self._server)
                carriers.append(self._loop.create_task(self._carry(near)))
        finally:
            await asyncio.gather(*carriers)

    async def _carry(self, near: socket.socket) -> None:
        with near, socket.socket() as far, suppress(OSError, Over, asyncio.CancelledError):
            for side in (near, far):
                side.settimeout(0)
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.sock_connect(far, self._target)
            await self._both_ways(Passage(near, far, asyncio.current_task()))

    async def _both_ways(self, passage: Passage) -> None:
        self._passages.add(passage)
        self.num_passages += 1
        up, down = asyncio.Queue[Piece](64), asyncio.Queue[Piece](64)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(passage.near, up, self.up))
                group.create_task(self._write(passage, passage.far, up, self.up))
                group.create_task(self._read(passage.far, down, self.down))
                group.create_task(self._write(passage, passage.near, down, self.down))
        except* (OSError, Over):
            pass
        finally:
            self._passages.discard(passage)

    async def _read(self, source: socket.socket, held: asyncio.Queue[Piece], toxics: Toxics) -> None:
        data = b"?"
        while data:
            data = await self._loop.sock_recv(source, toxics.piece)
            delay_s = toxics.latency_s + random.uniform(0, toxics.jitter_s)
            await held.put((self._loop.time() + delay_s, data))

    async def _write(self, passage: Passage, sink: socket.socket, held: asyncio.Queue[Piece], toxics: Toxics) -> None:
        data, num_passed = b"?", 0
        while data:
            due, data = await held.get()
            await asyncio.sleep(max(due - self._loop.time(), len(data) / toxics.rate if toxics.rate else 0))
            while toxics.is_dark or passage.is_forgotten:  # noqa: ASYNC110 - another thread turns it
                await asyncio.sleep(0.01)
            await self._loop.sock_sendall(sink, data)
            num_passed += len(data)
            if toxics.limit and num_passed >= toxics.limit:
                raise Over
        sink.shutdown(socket.SHUT_WR)


class Over(Exception):
    """The connection has carried what it may."""


@contextmanager
def relay(port: int) -> Iterator[Relay]:
    """A relay to a port of this machine, closed at the end."""
    made = Relay(port)
    try:
        yield made
    finally:
        made.close()
