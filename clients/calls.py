"""Which calls of a client are under way, and what each message or moment does to them; no socket.

Events come in as method calls with the time; what has to be sent goes to a line's connection. Every
call ends exactly once. Whoever brings events calls ``tick`` after each burst of them.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from .errors import Cancelled, DeadlineExceeded, Draining, RagqError
from .frames import Buffer
from .greetings import Welcome
from .line import Line
from .lines import Connect, Lines
from .packing import Payload, unpack_map
from .pending import Pending
from .reading import read
from .retry import MAX_ATTEMPTS, Dice, Retries
from .wire import TERMINAL, Envelope, Kind, decode, read_failure

CONNECT_TIMEOUT_S = 2.0
RESTART_TIMEOUT_S = 15.0
MIN_TIMERS = 256


class Calls:
    """The calls of a client, over one line for each proxy of a service; for the arguments see Lines."""

    def __init__(
        self, addresses: Sequence[str], connect: Connect, hello: bytes = b"", dice: Dice = random.random
    ) -> None:
        self.lines = Lines(addresses, connect, hello, dice)
        self._retries = Retries(dice)
        self._sent: dict[int, Pending] = {}
        self._unsent: deque[Pending] = deque()
        self._timers: list[tuple[float, int, Pending]] = []
        self._ids, self._turns = itertools.count(1), itertools.count()
        self._num_calls = 0

    def __len__(self) -> int:
        return self._num_calls

    # -- what the program does -------------------------------------------------------------------

    def add(self, call: Pending, now: float) -> None:
        """A new call."""
        self._num_calls += 1
        call.moved_at = now
        self._retries.called()
        self._timer(call.deadline, call)
        self._put(call, now)

    def cancel(self, call: Pending, error: BaseException | None = None) -> None:
        """Nobody waits for a call any more."""
        if call.outcome is None:
            self._stop(call, error or Cancelled(f"{call.name} was cancelled"))

    def grant(self, call: Pending, num_chunks: int) -> None:
        """The program took chunks of a stream."""
        if call.line is not None:
            call.line.tell([Envelope(Kind.CREDIT, call.id, seq=num_chunks).encode()])

    def pump(self, call: Pending) -> None:
        """Send what there is room for of the program's own stream."""
        if call.input is None or call.line is None:
            return
        for frames in call.input.ready(call.id):
            call.line.tell(frames)
        if not call.input.waiting:
            call.on_room()

    def close(self, error: Callable[[str], RagqError]) -> None:
        """End every call, and let go of every line."""
        for call in [call for _, _, call in self._timers]:  # each call that has not ended has one
            if call.outcome is None:
                self._stop(call, error(call.name))
        self.lines.close()

    # -- what the connections do -----------------------------------------------------------------

    def connected(self, line: Line, now: float) -> None:
        """A line can be used."""
        self.lines.connected(line, now)

    def disconnected(self, line: Line, now: float) -> None:
        """A line broke: what was sent over it will never be answered there."""
        calls = [call for call in self._sent.values() if call.line is line]
        self.lines.disconnected(line)
        for call in calls:
            self._take_back(call)
        for call in calls:
            self._fail_over(call, line, now)
        self._put_again(self._take_unsent(), now)

    def refused(self, line: Line, error: RagqError, now: float) -> None:
        """The proxy does not let this client in."""
        self.lines.refused(line, error, now)
        self._put_again(self._take_unsent(), now)

    def heard(self, line: Line, frames: Sequence[Buffer], now: float) -> None:
        """A message came; late and unknown ones are dropped."""
        line.heard(now)
        try:
            envelope = decode(frames[0])
        except RagqError:
            return  # it names no call; whichever it was meant for ends by its deadline
        call = self._sent.get(envelope.id)
        if call is None:
            self._about_line(line, envelope, now)
        elif call.line is line:
            try:
                self._about_call(call, envelope, list(frames[1:]), now)
            except RagqError as unreadable:
                self._stop(call, unreadable)

    def _about_line(self, line: Line, envelope: Envelope, now: float) -> None:
        if envelope.kind is Kind.BYE:
            self.lines.leave(line, now)
            return
        self.lines.answered(line)
        if envelope.kind is Kind.WELCOME:
            try:
                self.lines.welcomed(line, read(Welcome, unpack_map(envelope.body)))
            except RagqError:
                return  # a proxy of another version; nothing depends on what it says

    def _about_call(self, call: Pending, envelope: Envelope, buffers: list[Buffer], now: float) -> None:
        if call.leg is not None and envelope.kind in TERMINAL:
            call.leg.heard(envelope.meta)
        match envelope.kind:
            case Kind.REPLY | Kind.END:
                self._end(call, call.reply(envelope, buffers))
            case Kind.CHUNK:
                call.chunk(envelope, buffers, now)
            case Kind.ERROR:
                self._failed(call, read_failure(envelope), now)
            case Kind.CREDIT if call.input is not None:
                call.input.outflow.granted(envelope.seq)
                call.moved_at = now
                self.pump(call)

    # -- what time does --------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Time has passed, or events came."""
        while self._timers and self._timers[0][0] <= now:
            call = heapq.heappop(self._timers)[2]
            if call.outcome is None:
                self._due(call, now)
        self.lines.tick(now)
        if self._unsent:
            self._send_unsent(now)

    def next_timer(self, now: float) -> float | None:
        """Moment at which ``tick`` has something to do."""
        moment = self.lines.next_timer(now)
        while self._timers and self._timers[0][2].outcome is not None:
            heapq.heappop(self._timers)
        if not self._timers:
            return moment
        return self._timers[0][0] if moment is None else min(moment, self._timers[0][0])

    def _due(self, call: Pending, now: float) -> None:
        if call.deadline <= now:
            self._stop(call, self._out_of_time(call))
        elif call.resume_at is not None:
            if call.resume_at <= now:
                call.resume_at = None
                self._put(call, now)
        elif call.line is None and call.wait_until <= now and not self.lines.is_ready():
            self._stop(call, self.lines.nobody())

    def _timer(self, moment: float, call: Pending) -> None:
        if len(self._timers) > MIN_TIMERS + 4 * self._num_calls:
            self._timers = [entry for entry in self._timers if entry[2].outcome is None]
            heapq.heapify(self._timers)
        heapq.heappush(self._timers, (moment, next(self._turns), call))

    # -- where a call goes -----------------------------------------------------------------------

    def _put(self, call: Pending, now: float) -> None:
        """Send a call, or let it wait; those that wait already go first."""
        if self._unsent or not self._send(call, now):
            self._wait(call, now)

    def _put_again(self, calls: Iterable[Pending], now: float) -> None:
        for call in calls:
            if call.outcome is None:
                self._put(call, now)

    def _send(self, call: Pending, now: float) -> bool:
        while (line := self.lines.choose()) is not None:
            call.begin(next(self._ids))
            if line.send(call.frames(now)):  # one that has no room is not chosen again
                line.took(now)
                call.line = line
                self._sent[call.id] = call
                self.pump(call)
                return True
        return False

    def _wait(self, call: Pending, now: float) -> None:
        refusal = self.lines.refusal()
        if refusal is not None:
            self._stop(call, refusal)
            return
        call.wait_until = now + (RESTART_TIMEOUT_S if self.lines.is_restart() else CONNECT_TIMEOUT_S)
        self._timer(call.wait_until, call)
        self._unsent.append(call)

    def _send_unsent(self, now: float) -> None:
        calls = self._take_unsent()
        while calls and self.lines.is_usable():
            call = calls.popleft()
            if call.outcome is None and not self._send(call, now):
                self._unsent.append(call)
        self._unsent.extend(calls)

    def _take_unsent(self) -> deque[Pending]:
        calls, self._unsent = self._unsent, deque()
        return calls

    # -- how a call ends, or goes on elsewhere ---------------------------------------------------

    def _failed(self, call: Pending, error: RagqError, now: float) -> None:
        line, call.refusal = call.line, error
        self._take_back(call)
        if isinstance(error, Draining) and line is not None:
            self.lines.leave(line, now)
            self._put(call, now)
            return
        pause_s = None if call.has_begun else self._pause(call, error, now)
        if pause_s is None:
            self._end(call, error)
            return
        call.attempt += 1
        call.resume_at = now + pause_s
        self._timer(call.resume_at, call)

    def _pause(self, call: Pending, error: RagqError, now: float) -> float | None:
        return self._retries.pause(error, call.attempt, call.deadline - now, is_idempotent=call.is_idempotent)

    def _fail_over(self, call: Pending, line: Line, now: float) -> None:
        if call.is_idempotent and not call.has_begun and call.attempt + 1 < MAX_ATTEMPTS:
            call.attempt += 1
            self._put(call, now)
        else:
            self._end(call, call.lost(line.address))

    def _take_back(self, call: Pending) -> None:
        """A call is no longer under way at its line."""
        line, call.line = call.line, None
        if line is not None:
            del self._sent[call.id]
            line.num_calls -= 1

    def _stop(self, call: Pending, error: BaseException) -> None:
        """End a call that its worker may still be at."""
        if call.line is not None:
            call.line.tell([Envelope(Kind.CANCEL, call.id).encode()])
        self._end(call, error)

    def _end(self, call: Pending, outcome: Payload | BaseException) -> None:
        assert call.outcome is None, f"{call.name} ends twice"
        self._take_back(call)
        self._num_calls -= 1
        call.outcome = outcome
        if call.leg is not None:
            call.leg.ended(outcome)
        call.ended()
        call.on_room()

    def _out_of_time(self, call: Pending) -> RagqError:
        if call.line is None and call.refusal is not None:
            return call.refusal
        if call.line is None and call.attempt == 0 and not self.lines.is_ready():
            return self.lines.nobody()
        return DeadlineExceeded(f"{call.name} took longer than it was given")
