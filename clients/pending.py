"""A call of a client from the moment it is made until it ends, which it does once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .errors import ConnectionLost, DataLoss, RagqError, UnknownMethod
from .flow import Inflow, Input
from .frames import Buffer
from .line import Line
from .packing import Payload
from .trace import Leg
from .wire import STREAM_CREDIT, Envelope, Flag, Kind, Method, payload_of, to_ms


def _nothing() -> None:
    return


def _drop(_chunk: Payload) -> None:
    return


@dataclass(slots=True, eq=False)
class Pending:
    """A call under way.

    Attributes:
        name: of the method, for messages.
        head: its envelope, but for the id, the attempt and the time left.
        deadline: moment on the client's clock.
        ended: told once that there is an outcome.
        on_chunk: hears every chunk of a stream, in order.
        input: the chunks that the client sends.
        on_room: told that the chunks given so far are on their way, so that there is room for another.
        id: of the present attempt.
        line: where the present attempt was sent; None while it waits.
        wait_until: moment when a call that found no line is given up.
        resume_at: moment until which it pauses before the next attempt.
        refusal: why the last attempt was not taken, though another may be.
        moved_at: when the other side last sent a chunk of it, or took some.
        leg: its span, where it is traced.
        outcome: what it ended with.
    """

    name: str
    head: Envelope
    payload: Payload
    deadline: float
    ended: Callable[[], None] = _nothing
    on_chunk: Callable[[Payload], None] | None = None
    input: Input | None = None
    on_room: Callable[[], None] = _nothing
    id: int = 0
    attempt: int = 0
    line: Line | None = None
    wait_until: float = 0.0
    resume_at: float | None = None
    refusal: RagqError | None = None
    moved_at: float = 0.0
    inflow: Inflow | None = None
    leg: Leg | None = None
    outcome: Payload | BaseException | None = None

    @property
    def is_idempotent(self) -> bool:
        """Whether it may run twice."""
        return bool(self.head.flags & int(Flag.IDEMPOTENT))

    @property
    def has_begun(self) -> bool:
        """Whether chunks were seen or sent, so that nobody can begin it again unnoticed."""
        return bool(self.inflow and self.inflow.num_chunks) or bool(self.input and self.input.has_begun)

    def frames(self, now: float) -> list[Buffer]:
        """The message of the present attempt."""
        head, payload = self.head, self.payload
        flags = head.flags | int(Flag.BODY_IN_BUFFERS) if payload.body_in_buffers else head.flags
        envelope = Envelope(
            kind=head.kind, id=self.id, flags=flags, attempt=min(self.attempt, 255),
            ttl_ms=max(1, to_ms(self.deadline - now)), seq=head.seq, method=head.method,
            body=payload.body, num_buffers=len(payload.buffers), trace=self.leg.block if self.leg else b"",
        )  # fmt: skip
        return [envelope.encode(), *payload.buffers]

    def begin(self, call_id: int) -> None:
        """Start an attempt."""
        self.id = call_id
        self.inflow = Inflow(self.name) if self.on_chunk is not None else None
        if self.input is not None:
            self.input.restart()

    def chunk(self, envelope: Envelope, buffers: list[Buffer], now: float) -> None:
        """A chunk came; DataLoss unless it is the next one of a stream."""
        if self.on_chunk is None or self.inflow is None:
            raise DataLoss(f"{self.name} does not stream, and a chunk came")
        self.inflow.chunk(envelope, buffers)
        self.moved_at = now
        self.on_chunk(payload_of(envelope, buffers))

    def reply(self, envelope: Envelope, buffers: list[Buffer]) -> Payload:
        """The REPLY or END came."""
        if envelope.kind is Kind.END:
            (self.inflow or Inflow(self.name)).end(envelope)
        return payload_of(envelope, buffers)

    def lost(self, address: str) -> RagqError:
        """The error of a call whose connection broke."""
        seen = f" after {self.inflow.num_chunks} chunks had come" if self.inflow and self.inflow.num_chunks else ""
        return ConnectionLost(
            f"the connection to {address} broke during {self.name}{seen}; it was sent and may have run",
            help="see whether it did before you send it again",
        )


def pending(
    method: Method[Any, Any, Any],
    payload: Payload,
    deadline: float,
    *,
    flags: int = 0,
    streams: bool = False,
    input: Input | None = None,  # noqa: A002 - the word of the contract
) -> Pending:
    """A call of ``method`` that was not made yet; whoever makes it hears its end, and its chunks if it streams."""
    head = _head(method, int(flags), streams, input is not None)
    on_chunk, leg = _drop if streams else None, Leg.begin(method.name)
    return Pending(method.name, head, payload, deadline, on_chunk=on_chunk, input=input, leg=leg)


@lru_cache(maxsize=1024)
def _head(method: Method[Any, Any, Any], flags: int, streams: bool, has_input: bool) -> Envelope:
    flags |= int(Flag.IDEMPOTENT) if method.idempotent else 0
    flags |= int(Flag.WANTS_STREAM) if streams else 0
    flags |= int(Flag.STREAMS_INPUT) if has_input else 0
    return Envelope(Kind.CALL, 0, flags, seq=STREAM_CREDIT if streams else 0, method=method.key)


def asking_status(deadline: float) -> Pending:
    """A question about the state of the service, which the proxy answers itself."""
    return Pending("status", Envelope(Kind.STATUS, 0, int(Flag.IDEMPOTENT)), Payload(b""), deadline)


def outcome(call: Pending) -> Payload:
    """What a call ended with, once it has."""
    match call.outcome:
        case Payload() as payload:
            return payload
        case UnknownMethod() as error:
            raise UnknownMethod(f"{error.message} ({call.name})", help=error.help)
        case BaseException() as error:
            raise error.with_traceback(None)
    raise AssertionError(f"{call.name} has not ended")
