"""How a handler's thread turns a call into the messages that answer it."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from clients.errors import RagqError
from clients.frames import Buffer
from clients.packing import pack, pack_map
from clients.trace import Span, Trace, current, recording, spans_to_send, step
from clients.waiter import give_up_at, waiter
from clients.wire import Envelope, Flag, Kind, failure_envelope, message
from services.handling import Emit, Handling
from services.running import Running

ROUTE_MS = struct.Struct("<I")
Send = Callable[[Sequence[Buffer]], None]


class Answering:
    """Runs handlers on behalf of callers who wait elsewhere.

    What a handler calls through the client library waits no longer than its own caller, ends when
    that one gives up, and belongs to the same trace.

    Args:
        where: what spans say of this process.
    """

    def __init__(self, handling: Handling, where: str) -> None:
        self._handling, self._where = handling, where

    def frames(self, running: Running, envelope: Envelope, buffers: list[Any], send: Send) -> Sequence[Buffer]:
        """The message that ends the call; chunks of a stream go out through ``send`` before it."""
        waiter.set(running.call.cancelled)
        give_up_at.set(running.call.deadline)
        if envelope.flags & Flag.LEGACY:
            reply = self._handling.legacy(b"".join(bytes(b) for b in buffers), running.call)
            return [Envelope(Kind.REPLY, running.id, num_buffers=1).encode(), reply]
        trace = Trace.of_block(envelope.trace) if envelope.trace else None
        with recording(trace) if trace else nullcontext():
            return self._answer(running, envelope, buffers, send)

    def _answer(self, running: Running, envelope: Envelope, buffers: list[Any], send: Send) -> Sequence[Buffer]:
        if running.inbox is not None:
            running.call.input = running.inbox
        try:
            with self._step(running, envelope):
                reply = self._handling.serve(envelope, buffers, running.call, _emitter(running, send))
        except RagqError as error:
            return [failure_envelope(running.id, error, "worker", spans_to_send()).encode()]
        if running.outbox is not None:
            return running.outbox.end(reply, spans_to_send())
        spans = spans_to_send()
        return message(Envelope(Kind.REPLY, running.id, meta=pack_map(spans) if spans else b""), reply)

    def _step(self, running: Running, envelope: Envelope) -> AbstractContextManager[None]:
        trace = current.get()
        if trace is None:
            return nullcontext()
        (waited_ms,) = ROUTE_MS.unpack(running.route[-ROUTE_MS.size :])
        queued = Span("queue", "proxy", time.time() - waited_ms / 1000, waited_ms / 1000, os.urandom(8), trace.parent)
        trace.add([queued])
        return step(self._handling.name_of(envelope.method), self._where)


def _emitter(running: Running, send: Send) -> Emit:
    outbox = running.outbox
    if outbox is None:
        return lambda _event: running.call.check()
    return lambda event: send(outbox.chunk(pack(event)))
