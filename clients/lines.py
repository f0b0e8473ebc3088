"""Which lines a client has, and how they come and go; no socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .errors import Draining, RagqError, Unreachable
from .greetings import Welcome
from .line import Connection, Line, State, choose
from .retry import Dice
from .wire import Envelope, Kind

REOPEN_S = 0.1
REFUSED_S = 30.0
FULL_S = 0.02
BYE = Envelope(Kind.BYE, 0).encode()
PING = Envelope(Kind.PING, 0).encode()

Connect = Callable[[str], Connection]


class Lines:
    """A line for each proxy of a service, and those whose proxies leave.

    Args:
        addresses: of the proxies.
        connect: opens a connection to one of them.
        hello: what is said first on each connection.

    Attributes:
        current: the lines that new calls may use.
        leaving: lines whose proxies leave; the calls under way there finish.
        num_changes: how often a connection was opened or closed.
    """

    def __init__(self, addresses: Sequence[str], connect: Connect, hello: bytes, dice: Dice) -> None:
        self.current = [Line(address, connect(address)) for address in addresses]
        self.leaving: list[Line] = []
        self.num_changes = 0
        self._connect, self._dice = connect, dice
        self._hello = Envelope(Kind.HELLO, 0, body=hello).encode()

    @property
    def all(self) -> list[Line]:
        """The lines that messages may come from."""
        return [*self.current, *self.leaving] if self.leaving else self.current

    def choose(self) -> Line | None:
        """The line for the next call."""
        return choose(self.current, self._dice)

    def is_usable(self) -> bool:
        """Whether a call can be sent now."""
        return any(line.is_usable for line in self.current)

    def is_ready(self) -> bool:
        """Whether a line is up, though perhaps full."""
        return any(line.state is State.READY for line in self.current)

    def is_restart(self) -> bool:
        """Whether a proxy left as planned, and its successor has not come yet."""
        return any(line.is_expected for line in self.current)

    def refusal(self) -> RagqError | None:
        """Why no line will let a call in; None while one of them may."""
        is_refused = all(line.state is State.AUTH_FAILED for line in self.current)
        return self.nobody() if is_refused else None

    def nobody(self) -> RagqError:
        """The error of a call that no line took."""
        for line in self.current:
            if line.trouble is not None:
                return type(line.trouble)(line.trouble.message, help=line.trouble.help)
            if line.is_expected:
                return Draining(f"the proxy at {line.address} is shutting down, and no other has come yet")
        return Unreachable(
            f"nobody answers at {', '.join(line.address for line in self.current)}",
            help="is the mesh running? 'ragq status' tells; 'ragq up' starts it",
        )

    # -- events ----------------------------------------------------------------------------------

    def connected(self, line: Line, now: float) -> None:
        """A line is up; it can be used at once, or as soon as it is known that this is no longer the one who leaves."""
        line.begin(State.CONNECTING if line.is_expected else State.READY)
        line.trouble, line.quiet_since = None, now
        line.tell([self._hello])

    def answered(self, line: Line) -> None:
        """The proxy said something other than that it leaves."""
        if line.is_expected:
            line.state, line.is_expected = State.READY, False

    def welcomed(self, line: Line, welcome: Welcome) -> None:
        """The proxy said who it is."""
        line.proxy, line.max_calls = welcome.proxy, welcome.max_calls

    def disconnected(self, line: Line) -> None:
        """A line broke; it is tried again, unless its proxy was about to leave."""
        if line in self.leaving:
            self._forget(line)
        else:
            line.begin(State.DOWN)
            self._renew(line)

    def refused(self, line: Line, error: RagqError, now: float) -> None:
        """The proxy does not let this client in; worth another try much later."""
        line.begin(State.AUTH_FAILED)
        line.trouble, line.renew_at = error, now + REFUSED_S

    def leave(self, line: Line, now: float) -> None:
        """Its proxy is about to leave: new calls go over another line, one to its successor among them."""
        if line in self.current:
            line.state = State.DRAINING
            successor = Line(line.address, state=State.DOWN, is_expected=True, renew_at=now + REOPEN_S)
            self.current = [successor if known is line else known for known in self.current]
            self.leaving.append(line)

    def close(self) -> None:
        """Say BYE to those who know this client, and let go of every line."""
        for line in self.all:
            if line.connection is not None:
                if line.proxy:
                    line.tell([BYE])
                line.connection.close()
        self.current, self.leaving = [], []

    # -- time ------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Time has passed."""
        for line in self.all:
            if line.is_full:
                line.flush()
            if line.renew_at is not None and line.renew_at <= now:
                self._renew(line)
            if line.is_to_be_asked(now):
                line.asked_at = now
                line.tell([PING])
        for line in list(self.leaving):
            if not line.num_calls and not line.outbox and line.send([BYE]):
                self._forget(line)

    def next_timer(self, now: float) -> float | None:
        """Moment at which ``tick`` has something to do."""
        first: float | None = None
        for line in self.all:
            moment = now + FULL_S if line.is_full else line.next_timer()
            if moment is not None and (first is None or moment < first):
                first = moment
        return first

    def _forget(self, line: Line) -> None:
        line.begin(State.DOWN)
        self.num_changes += 1
        self.leaving.remove(line)
        if line.connection is not None:
            line.connection.close()

    def _renew(self, line: Line) -> None:
        line.renew_at = None
        self.num_changes += 1
        if line.state is State.AUTH_FAILED:
            line.state = State.CONNECTING
        if line.connection is None:
            line.connection = self._connect(line.address)
        else:
            line.connection.renew()
