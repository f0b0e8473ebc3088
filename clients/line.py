"""What a client knows of its connection to one proxy, and which of several it uses; no socket."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from .errors import RagqError
from .frames import Buffer
from .retry import Dice

ASK_AFTER_S = 1.0
SILENT_AFTER_S = 2.0
UNWELCOMED_CALLS = 64


class State(StrEnum):
    """Of a line: only one that is READY takes new calls."""

    CONNECTING = "connecting"
    READY = "ready"
    DRAINING = "draining"
    AUTH_FAILED = "auth_failed"
    DOWN = "down"


class Connection(Protocol):
    """What carries the messages of a line."""

    def send(self, frames: Sequence[Buffer]) -> bool:
        """Whether a message is on its way."""
        ...

    def renew(self) -> None:
        """Connect afresh, and forget what was not sent."""
        ...

    def close(self) -> None:
        """Let go, after what was sent."""
        ...


@dataclass(slots=True, eq=False)
class Line:
    """A connection to one proxy, and how it is with that proxy.

    Attributes:
        num_calls: own calls under way there.
        max_calls: how many it allows; 0 means any number.
        proxy: id of that run of the proxy, empty until it said who it is.
        quiet_since: when the proxy was last heard, or first had something to say.
        asked_at: when it was last asked whether it is reachable.
        is_silent: it does not answer that; it gets no new calls while another line is usable.
        is_full: it took no more messages when last tried.
        is_expected: its proxy left as planned, so another one will soon come to its address.
        renew_at: moment for another try, of a line that has no connection or was refused.
        trouble: why the proxy refused this client.
        outbox: messages that it had no room for.
    """

    address: str
    connection: Connection | None = None
    state: State = State.CONNECTING
    num_calls: int = 0
    max_calls: int = 0
    proxy: str = ""
    quiet_since: float = 0.0
    asked_at: float = 0.0
    is_silent: bool = False
    is_full: bool = False
    is_expected: bool = False
    renew_at: float | None = None
    trouble: RagqError | None = None
    outbox: deque[Sequence[Buffer]] = field(default_factory=deque)

    @property
    def is_usable(self) -> bool:
        """Whether a call can be sent now."""
        most = self.max_calls if self.proxy else UNWELCOMED_CALLS  # it has not said yet how many it allows
        has_room = not most or self.num_calls < most
        return self.state is State.READY and has_room and not self.is_full

    def send(self, frames: Sequence[Buffer]) -> bool:
        """Whether a message is on its way; after those that wait in the outbox."""
        if self.outbox or self.connection is None or not self.connection.send(frames):
            self.is_full = True
            return False
        return True

    def tell(self, frames: Sequence[Buffer]) -> None:
        """Send a message as soon as there is room for it."""
        if not self.send(frames):
            self.outbox.append(frames)

    def flush(self) -> None:
        """There may be room again."""
        self.is_full = False
        while self.outbox and self.connection is not None:
            if not self.connection.send(self.outbox[0]):
                self.is_full = True
                return
            self.outbox.popleft()

    def took(self, now: float) -> None:
        """A call was sent over it."""
        if not self.num_calls and not self.is_silent:
            self.quiet_since = now
        self.num_calls += 1

    def heard(self, now: float) -> None:
        """Its proxy said something, whatever it was."""
        self.quiet_since = now
        self.is_silent = False

    def begin(self, state: State) -> None:
        """What was known of the former connection no longer counts."""
        self.state, self.is_silent, self.is_full = state, False, False
        self.proxy, self.max_calls = "", 0
        self.outbox.clear()

    def is_to_be_asked(self, now: float) -> bool:
        """Whether it is time to ask if the proxy is reachable; also marks one that does not answer."""
        if self.state is not State.READY or not (self.num_calls or self.is_silent):
            return False
        if now - self.quiet_since >= SILENT_AFTER_S and self.asked_at > self.quiet_since:
            self.is_silent = True
        return now >= self._ask_at()

    def next_timer(self) -> float | None:
        """Moment at which something is to be done for this line."""
        if self.renew_at is not None or self.state is not State.READY:
            return self.renew_at
        if not (self.num_calls or self.is_silent):
            return None
        silent_at = self.quiet_since + SILENT_AFTER_S
        is_undecided = not self.is_silent and self.asked_at > self.quiet_since
        return min(self._ask_at(), silent_at) if is_undecided else self._ask_at()

    def _ask_at(self) -> float:
        return max(self.quiet_since, self.asked_at) + ASK_AFTER_S


def choose(lines: Sequence[Line], dice: Dice) -> Line | None:
    """The usable line with the fewest own calls; any of them when there are several."""
    if len(lines) == 1:
        return lines[0] if lines[0].is_usable else None
    usable = [line for line in lines if line.is_usable]
    heard = [line for line in usable if not line.is_silent] or usable
    if not heard:
        return None
    fewest = min(line.num_calls for line in heard)
    least = [line for line in heard if line.num_calls == fewest]
    return least[int(dice() * len(least)) % len(least)]
