"""How a program calls one service: many calls in flight from any thread, over one socket of one thread."""

from __future__ import annotations

import os
import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from .calls import Pending, waiting
from .errors import BadRequest, DeadlineExceeded, RagqError, UnknownMethod
from .link import Link
from .packing import Buffer, Payload, pack, unpack
from .status import ServiceStatus
from .wire import STREAM_CREDIT, Envelope, Flag, Kind, Method, Nothing, message, to_ms

__all__ = ["Client", "ServiceStatus", "Stream"]

Q = TypeVar("Q")
R = TypeVar("R")
E = TypeVar("E")
MAX_ATTEMPTS = 3
STREAM_TIMEOUT_S = 600.0
IN_FLIGHT = 4
HALF_CREDIT = STREAM_CREDIT // 2


class Client:
    """A connection to one service.

    Args:
        address: of the service's front: ``tcp://127.0.0.1:7781``.
        timeout_s: seconds for a call that names none.
    """

    def __init__(self, address: str, *, timeout_s: float = 30.0) -> None:
        self.address = address
        self.timeout_s = timeout_s
        self._lock = threading.Lock()
        self._link: Link | None = None

    def call(self, method: Method[Q, R, Any], request: Q, *, timeout_s: float | None = None) -> R:
        """Call a method and wait for its reply.

        An idempotent call that meets a retryable error is tried again, at most three times within
        its timeout.

        Raises:
            RagqError: what the service reports, DeadlineExceeded, or Unreachable.
        """
        deadline = _deadline(timeout_s, self.timeout_s)
        payload = pack(request)
        for attempt in range(MAX_ATTEMPTS):
            call = self._submit(method, payload, deadline, attempt)
            try:
                return unpack(method.reply, self._wait(call))
            except RagqError as error:
                pause_s = max(error.retry_after_s, random.uniform(0.5, 1.0) * 0.1 * 2**attempt)  # noqa: S311 - jitter, not a secret
                may_retry = error.retryable and method.idempotent and call.is_sent
                if not may_retry or attempt == MAX_ATTEMPTS - 1 or time.monotonic() + pause_s >= deadline:
                    raise
                time.sleep(pause_s)
        raise AssertionError("the last attempt returns or raises")

    def call_many(self, method: Method[Q, R, Any], requests: Sequence[Q], *, timeout_s: float | None = None) -> list[R]:
        """Call a method with many requests, a few in flight at a time; replies in the order given."""
        if len(requests) == 1:
            return [self.call(method, requests[0], timeout_s=timeout_s)]
        replies: dict[int, R] = {}
        failures: list[BaseException] = []
        numbers = iter(range(len(requests)))

        def work() -> None:
            for i in numbers:
                if failures:
                    return
                try:
                    replies[i] = self.call(method, requests[i], timeout_s=timeout_s)
                except RagqError as error:
                    failures.append(error)

        threads = [
            threading.Thread(target=copy_context().run, args=(work,), daemon=True)
            for _ in range(min(IN_FLIGHT, len(requests)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return [replies[i] for i in range(len(requests))]

    def stream(self, method: Method[Q, R, E], request: Q, *, timeout_s: float | None = None) -> Stream[R, E]:
        """Call a streaming method; iterate over its events, then read ``reply``."""
        if method.event is Nothing:
            raise BadRequest(f"{method.name} does not stream")
        return Stream(self, method, pack(request), _deadline(timeout_s, STREAM_TIMEOUT_S))

    def status(self, timeout_s: float = 2.0) -> ServiceStatus:
        """What the proxy says of its service; it answers also when its queue is full."""
        link = self._connected()
        call = link.pending(
            "status", _deadline(timeout_s, 0.0), lambda call_id: [Envelope(Kind.STATUS, call_id).encode()]
        )
        link.submit(call)
        return unpack(ServiceStatus, self._wait(call))

    def submit(
        self,
        method: Method[Q, Any, Any],
        payload: Payload,
        deadline: float,
        on_chunk: Callable[[Payload], None] | None = None,
    ) -> Pending:
        """Send a call and return at once; for streams and the asyncio face."""
        return self._submit(method, payload, deadline, 0, on_chunk)

    def cancel(self, call: Pending) -> None:
        """Give up a call; it ends as cancelled, and its worker is told."""
        if self._link is not None:
            self._link.tell(Envelope(Kind.CANCEL, call.id))

    def grant(self, call: Pending, num_chunks: int) -> None:
        """Tell the worker of a stream that there is room for more chunks."""
        if self._link is not None:
            self._link.tell(Envelope(Kind.CREDIT, call.id, seq=num_chunks))

    def close(self) -> None:
        """End every call as cancelled, and let go of the socket."""
        with self._lock:
            link, self._link = self._link, None
        if link is not None and link.pid == os.getpid():
            link.close()

    def _submit(
        self,
        method: Method[Any, Any, Any],
        payload: Payload,
        deadline: float,
        attempt: int,
        on_chunk: Callable[[Payload], None] | None = None,
    ) -> Pending:
        link = self._connected()
        flags = (Flag.IDEMPOTENT if method.idempotent else 0) | (Flag.WANTS_STREAM if on_chunk else 0)
        seq = STREAM_CREDIT if on_chunk else 0

        def frames(call_id: int) -> list[Buffer]:
            ttl_ms = max(1, to_ms(deadline - time.monotonic()))
            head = Envelope(Kind.CALL, call_id, flags, attempt=attempt, ttl_ms=ttl_ms, seq=seq, method=method.key)
            return message(head, payload)

        call = link.pending(method.name, deadline, frames)
        call.on_chunk = on_chunk
        link.submit(call)
        return call

    def _wait(self, call: Pending) -> Payload:
        try:
            with waiting(partial(self.cancel, call)):
                return outcome(call)
        except RagqError:
            raise
        except BaseException:
            self.cancel(call)
            raise

    def _connected(self) -> Link:
        with self._lock:
            if self._link is None or self._link.pid != os.getpid() or not self._link.is_alive():
                self._link = Link(self.address)
            return self._link

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def outcome(call: Pending) -> Payload:
    """What a call ended with, once it has."""
    try:
        return call.future.result()
    except UnknownMethod as error:
        raise UnknownMethod(f"{error.message} ({call.name})", help=error.help) from None
    except RagqError as error:
        raise error.with_traceback(None) from None


def _deadline(timeout_s: float | None, default_s: float) -> float:
    """The moment at which the time for a call is over; a day at most, which is what the header can carry."""
    return time.monotonic() + to_ms(default_s if timeout_s is None else timeout_s) / 1000


class Stream(Generic[R, E]):
    """The events of a streaming call; leaving the loop or the ``with`` block cancels it."""

    def __init__(self, client: Client, method: Method[Any, R, E], payload: Payload, deadline: float) -> None:
        self._client, self._method, self._deadline = client, method, deadline
        self._events: queue.SimpleQueue[Payload | None] = queue.SimpleQueue()
        self._call = client.submit(method, payload, deadline, self._events.put)
        self._call.future.add_done_callback(lambda _: self._events.put(None))
        self._reply: R | None = None
        self._num_taken = 0

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
            self._num_taken += 1
            if self._num_taken % HALF_CREDIT == 0:
                self._client.grant(self._call, HALF_CREDIT)
            return unpack(self._method.event, payload)
        self._events.put(None)  # whoever asks again meets the end again
        self._reply = unpack(self._method.reply, outcome(self._call))
        raise StopIteration

    def _next_payload(self) -> Payload | None:
        try:
            with waiting(self.close):
                return self._events.get(timeout=max(0.0, self._deadline - time.monotonic()) + 1.0)
        except queue.Empty:
            self.close()
            raise DeadlineExceeded(f"{self._method.name} took longer than it was given") from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Cancel the call unless it has ended."""
        if not self._call.future.done():
            self._client.cancel(self._call)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        with suppress(AttributeError, RuntimeError):
            self.close()
