"""Where the time of one request went: spans that every process adds to, on the way back to who asked.

The caller begins a trace. Each call made inside it carries the trace's id and the id of the span it
was made from (the trace block of the envelope, as in W3C Trace Context); the answer brings back the
spans of the worker, of the queue before it, and of every call the worker made itself. No collector
is needed: who began the trace ends up with all of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import astuple, dataclass, field, fields, replace

from .errors import BadRequest, RagqError
from .packing import unpack_map
from .reading import read
from .wire import SPANS, TRACE

SAMPLED = 1
MAX_SPANS = 200


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of work.

    Attributes:
        name: of the method or step.
        where: client, queue or worker, with host and pid for a process.
        began: seconds since 1970 on the clock of the host that did it.
        seconds: how long it took.
        id, parent: 8 bytes each; the parent of the first span is empty.
        note: what else is worth knowing: the error that ended it.
    """

    name: str
    where: str
    began: float
    seconds: float
    id: bytes
    parent: bytes = b""
    note: str = ""


_FIELDS = tuple(field.name for field in fields(Span))


@dataclass(slots=True)
class Trace:
    """The spans of one request as they come together in one process.

    Attributes:
        id: 16 bytes, shown as 32 hexadecimal digits.
        parent: id of the span that what happens now belongs to.
        spans: shared by all the steps of the request in this process; appending is safe from any thread.
    """

    id: bytes
    parent: bytes = b""
    spans: list[Span] = field(default_factory=list)

    @classmethod
    def begin(cls, traceparent: str = "") -> Trace:
        """A new trace, or the continuation of one that a W3C ``traceparent`` header names.

        Raises:
            BadRequest: the header is not of that form.
        """
        if not traceparent:
            return cls(os.urandom(16))
        parts = traceparent.split("-")
        try:
            numbers = [bytes.fromhex(part) for part in parts]
        except ValueError:
            numbers = []
        if [len(number) for number in numbers[:4]] != [1, 16, 8, 1] or not any(numbers[1]) or not any(numbers[2]):
            raise BadRequest(f"'{traceparent[:80]}' is no traceparent header", help="00-<32 hex>-<16 hex>-<2 hex>")
        return cls(numbers[1], numbers[2])

    @classmethod
    def of_block(cls, block: bytes) -> Trace | None:
        """The trace that a call belongs to; None when it is not to be recorded."""
        if len(block) != TRACE.size:
            return None
        _, trace_id, parent, flags = TRACE.unpack(block)
        return cls(trace_id, parent) if flags & SAMPLED else None

    @property
    def block(self) -> bytes:
        """The trace block for a call made now."""
        return TRACE.pack(0, self.id, self.parent, SAMPLED)

    @property
    def traceparent(self) -> str:
        """The W3C header for a request made now."""
        return f"00-{self.id.hex()}-{self.parent.hex()}-{SAMPLED:02x}"

    def below(self, span_id: bytes) -> Trace:
        """The same trace for what is done on behalf of a span."""
        return replace(self, parent=span_id)

    def add(self, spans: Sequence[Span]) -> None:
        """Keep spans, up to a bound that a message can carry."""
        self.spans.extend(spans[: max(0, MAX_SPANS - len(self.spans))])


current: ContextVar[Trace | None] = ContextVar("trace", default=None)


@contextmanager
def recording(trace: Trace | None) -> Iterator[None]:
    """Make ``trace`` the one that calls and steps of this context belong to."""
    mark = current.set(trace)
    try:
        yield
    finally:
        current.reset(mark)


@contextmanager
def traced(name: str, traceparent: str = "") -> Iterator[Trace]:
    """Trace what is done inside: a new trace, or the continuation of the one that a W3C header names."""
    trace = Trace.begin(traceparent)
    with recording(trace), step(name, "client"):
        yield trace


@contextmanager
def step(name: str, where: str = "", *, note: str = "") -> Iterator[None]:
    """Record a stretch of work as a span, if this context is traced; what it calls hangs below it."""
    trace = current.get()
    if trace is None:
        yield
        return
    span_id, began, clock = os.urandom(8), time.time(), time.perf_counter()
    mark = current.set(trace.below(span_id))
    try:
        yield
    except BaseException as error:
        note = f"{note} {type(error).__name__}".strip()
        raise
    finally:
        current.reset(mark)
        trace.add([Span(name, where, began, time.perf_counter() - clock, span_id, trace.parent, note)])


@dataclass(slots=True)
class Leg:
    """The span of a call that leaves this process, from the moment it is made until it ends.

    Attributes:
        block: the trace block that goes with the call.
    """

    name: str
    trace: Trace
    id: bytes
    block: bytes
    began: float
    clock: float

    @classmethod
    def begin(cls, name: str) -> Leg | None:
        """The leg of a call made now; None where nothing is traced."""
        trace = current.get()
        if trace is None:
            return None
        span_id = os.urandom(8)
        return cls(name, trace, span_id, trace.below(span_id).block, time.time(), time.perf_counter())

    def heard(self, meta: bytes) -> None:
        """The message that ends the call came, with the spans of the other side in its meta."""
        self.trace.add(_spans_in(meta))

    def ended(self, outcome: object) -> None:
        """The call ended."""
        seconds = time.perf_counter() - self.clock
        note = type(outcome).__name__ if isinstance(outcome, BaseException) else ""
        self.trace.add([Span(self.name, "client", self.began, seconds, self.id, self.trace.parent, note)])


def spans_to_send() -> dict[str, object]:
    """What the message that ends a traced call carries in its meta: spans of this process and of those it called."""
    trace = current.get()
    return {} if trace is None else {SPANS: [astuple(span) for span in trace.spans]}


def _spans_in(meta: bytes) -> list[Span]:
    """A trace is no reason to lose an answer: what is not readable counts as none."""
    try:
        found = unpack_map(meta) if meta else None
        rows = found.get(SPANS) if isinstance(found, dict) else None
        return [read(Span, dict(zip(_FIELDS, row, strict=True))) for row in rows or ()]
    except (RagqError, TypeError, ValueError):
        return []
