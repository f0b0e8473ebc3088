"""Lines of a client that end in lists instead of sockets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from clients.calls import Calls
from clients.frames import Buffer
from clients.greetings import Welcome
from clients.line import Line
from clients.packing import Payload, pack
from clients.pending import Pending
from clients.wire import Envelope, Flag, Kind, decode

ADDRESSES = ["tcp://127.0.0.1:1", "tcp://127.0.0.1:2", "tcp://127.0.0.1:3"]


@dataclass
class Wire:
    """What a line sent; a full one takes nothing."""

    address: str
    is_full: bool = False
    is_closed: bool = False
    num_renewed: int = 0
    sent: list[Envelope] = field(default_factory=list)
    buffers: list[Sequence[Buffer]] = field(default_factory=list)

    def send(self, frames: Sequence[Buffer]) -> bool:
        assert not self.is_closed
        if self.is_full:
            return False
        self.sent.append(decode(frames[0]))
        self.buffers.append(frames[1:])
        return True

    def renew(self) -> None:
        self.num_renewed += 1
        self.sent.clear()

    def close(self) -> None:
        assert not self.is_closed
        self.is_closed = True

    def kinds(self) -> list[Kind]:
        """What was sent, but for the greeting."""
        return [envelope.kind for envelope in self.sent if envelope.kind is not Kind.HELLO]

    def calls(self) -> list[Envelope]:
        """The calls that were sent."""
        return [envelope for envelope in self.sent if envelope.kind is Kind.CALL]


@dataclass
class Bench:
    """A client's calls, its wires, and the time."""

    num_lines: int = 1
    now: float = 100.0
    wires: list[Wire] = field(default_factory=list)
    ended: list[Pending] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.calls = Calls(ADDRESSES[: self.num_lines], self._connect, dice=lambda: 0.5)

    def _connect(self, address: str) -> Wire:
        self.wires.append(Wire(address))
        return self.wires[-1]

    def line(self, number: int = 0) -> Line:
        """The line that calls use now for the proxy of this number."""
        return self.calls.lines.current[number]

    def wire(self, number: int = 0) -> Wire:
        """What carries that line."""
        connection = self.line(number).connection
        assert isinstance(connection, Wire)
        return connection

    def up(self, *numbers: int) -> None:
        """These lines can be used."""
        for number in numbers or range(self.num_lines):
            self.calls.connected(self.line(number), self.now)
        self.calls.tick(self.now)

    def call(self, *, idempotent: bool = True, ttl_s: float = 30.0, chunks: list[Payload] | None = None) -> Pending:
        """A new call."""
        flags = Flag.IDEMPOTENT if idempotent else 0
        head = Envelope(Kind.CALL, 0, flags)
        call = Pending("trial.echo", head, pack({}), self.now + ttl_s)
        call.on_chunk = None if chunks is None else chunks.append
        call.ended = lambda: self.ended.append(call)
        self.calls.add(call, self.now)
        return call

    def hear(self, line: Line, envelope: Envelope, *buffers: bytes) -> None:
        """A message comes."""
        self.calls.heard(line, [envelope.encode(), *buffers], self.now)
        self.calls.tick(self.now)

    def answer(self, call: Pending, kind: Kind = Kind.REPLY, seq: int = 0, meta: bytes = b"") -> None:
        """The line where a call is says something about it."""
        assert call.line is not None
        self.hear(call.line, Envelope(kind, call.id, seq=seq, meta=meta, body=pack({}).body))

    def refuse(self, call: Pending, failure: Envelope) -> None:
        """The line where a call is answers with a failure."""
        assert call.line is not None
        self.hear(call.line, failure)

    def welcome(self, number: int = 0, max_calls: int = 0) -> None:
        """A proxy says who it is."""
        body = pack(Welcome("proxy", "trial", max_calls)).body
        self.hear(self.line(number), Envelope(Kind.WELCOME, 0, body=body))

    def bye(self, line: Line) -> None:
        """A proxy says that it will leave."""
        self.hear(line, Envelope(Kind.BYE, 0))

    def lose(self, line: Line) -> None:
        """A connection breaks."""
        self.calls.disconnected(line, self.now)
        self.calls.tick(self.now)

    def wait(self, seconds: float) -> None:
        """Time passes, and everything that is due happens at its moment."""
        until = self.now + seconds
        while (moment := self.calls.next_timer(self.now)) is not None and moment <= until:
            self.now = max(self.now, moment)
            self.calls.tick(self.now)
        self.now = until
        self.calls.tick(self.now)
