"""Which calls of a client are under way, and what each message or moment does to them; no socket."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field

from .errors import Cancelled, DataLoss, DeadlineExceeded, RagqError, Unreachable
from .packing import Buffer, Payload
from .wire import Envelope, Kind, payload_of, read_failure

CONNECT_TIMEOUT_S = 2.0


@dataclass(slots=True)
class Pending:
    """A call under way.

    Attributes:
        name: of the method, for messages.
        deadline: moment on the client's clock.
        connect_by: moment when a call that could not be sent is given up.
        on_chunk: hears every chunk of a stream, in order.
        future: gets the terminal payload, or the error.
    """

    id: int
    name: str
    frames: Callable[[int], list[Buffer]]
    deadline: float
    connect_by: float
    on_chunk: Callable[[Payload], None] | None = None
    future: Future[Payload] = field(default_factory=Future)
    next_seq: int = 0
    is_sent: bool = False


class Calls:
    """The table of a client's calls.

    Every call ends exactly once: its future gets a payload or an error, and it leaves the table.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._table: dict[int, Pending] = {}
        self._timers: list[tuple[float, int]] = []
        self._unsent: deque[Pending] = deque()
        self._ids = itertools.count(1)

    def __len__(self) -> int:
        return len(self._table)

    def next_id(self) -> int:
        """An id that this session has not used."""
        return next(self._ids)

    def add(self, call: Pending) -> None:
        """Take a call in; it waits to be sent."""
        self._table[call.id] = call
        self._unsent.append(call)
        heapq.heappush(self._timers, (call.deadline, call.id))
        heapq.heappush(self._timers, (call.connect_by, call.id))

    def first_unsent(self) -> Pending | None:
        """The next call to send."""
        while self._unsent and self._unsent[0].id not in self._table:
            self._unsent.popleft()
        return self._unsent[0] if self._unsent else None

    def sent(self, call: Pending) -> None:
        """The first unsent call is on its way."""
        assert self._unsent.popleft() is call
        call.is_sent = True

    def heard(self, envelope: Envelope, buffers: list[Buffer]) -> None:
        """A message came; late and unknown ones are dropped."""
        call = self._table.get(envelope.id)
        if call is None:
            return
        try:
            self._apply(call, envelope, buffers)
        except RagqError as unreadable:
            self._end(call, unreadable)

    def _apply(self, call: Pending, envelope: Envelope, buffers: list[Buffer]) -> None:
        match envelope.kind:
            case Kind.REPLY:
                self._end(call, payload_of(envelope, buffers))
            case Kind.ERROR:
                self._end(call, read_failure(envelope))
            case Kind.CHUNK:
                self._chunk(call, envelope, buffers)
            case Kind.END:
                self._end_of_stream(call, envelope, buffers)

    def _chunk(self, call: Pending, envelope: Envelope, buffers: list[Buffer]) -> None:
        if call.on_chunk is None or envelope.seq != call.next_seq:
            raise DataLoss(f"{call.name}: chunk {call.next_seq} was due, {envelope.seq} came")
        call.on_chunk(payload_of(envelope, buffers))
        call.next_seq += 1

    def _end_of_stream(self, call: Pending, envelope: Envelope, buffers: list[Buffer]) -> None:
        if envelope.seq == call.next_seq:
            self._end(call, payload_of(envelope, buffers))
        else:
            self._end(call, DataLoss(f"{call.name}: {envelope.seq} chunks were sent, {call.next_seq} came"))

    def disconnected(self) -> None:
        """The connection broke: what was sent over it will never be answered."""
        for call in [c for c in self._table.values() if c.is_sent]:
            self._end(call, Unreachable(f"the connection to {self.address} broke during {call.name}"))

    def cancel(self, call_id: int) -> bool:
        """End a call as cancelled; whether the other side has to be told."""
        call = self._table.get(call_id)
        if call is None:
            return False
        self._end(call, Cancelled(f"{call.name} was cancelled"))
        return call.is_sent

    def expire(self, now: float) -> list[int]:
        """End the calls whose time is over; ids of those that the other side has to be told about."""
        told = []
        while self._timers and self._timers[0][0] <= now:
            call = self._table.get(heapq.heappop(self._timers)[1])
            if call is None:
                continue
            if not call.is_sent:
                self._end(call, self._nobody())
            elif call.deadline <= now:
                self._end(call, DeadlineExceeded(f"{call.name} took longer than it was given"))
                told.append(call.id)
        return told

    def _nobody(self) -> RagqError:
        return Unreachable(
            f"nobody answers at {self.address}",
            help="is the mesh running? 'ragq status' tells; 'ragq up' starts it",
        )

    def next_timer(self) -> float | None:
        """Moment at which ``expire`` has something to do."""
        return self._timers[0][0] if self._timers else None

    def fail_all(self, error: Callable[[str], RagqError]) -> list[int]:
        """End every call, at close; ids of those that the other side has to be told about."""
        calls = list(self._table.values())
        for call in calls:
            self._end(call, error(call.name))
        return [call.id for call in calls if call.is_sent]

    def _end(self, call: Pending, outcome: Payload | RagqError) -> None:
        del self._table[call.id]
        if isinstance(outcome, Payload):
            call.future.set_result(outcome)
        else:
            call.future.set_exception(outcome)


class Waiter:
    """Lets one thread end what others wait for on its behalf: now, and whatever they wait for next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancels: dict[object, Callable[[], None]] = {}
        self._is_cancelled = False

    def cancel(self) -> None:
        """End every wait, also those that have not begun."""
        with self._lock:
            self._is_cancelled = True
            cancels = list(self._cancels.values())
        for cancel in cancels:
            cancel()

    @contextmanager
    def waits(self, cancel: Callable[[], None]) -> Iterator[None]:
        """While a thread waits for something that ``cancel`` ends."""
        mark = object()
        with self._lock:
            self._cancels[mark] = cancel
            is_cancelled = self._is_cancelled
        if is_cancelled:
            cancel()
        try:
            yield
        finally:
            with self._lock:
                del self._cancels[mark]


waiter: ContextVar[Waiter | None] = ContextVar("waiter", default=None)


def waiting(cancel: Callable[[], None]) -> AbstractContextManager[None]:
    """Tell the waiter of this context, if there is one, how to end what is waited for."""
    current = waiter.get()
    return nullcontext() if current is None else current.waits(cancel)
