"""Who a dispatcher deals with: a client, its call on its way, and a worker with the calls that it holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf, log2
from operator import attrgetter
from typing import Any, Literal

from clients.greetings import Beat, Ready
from clients.wire import Flag, method_key
from proxies.legacy_calls import is_harmless

Key = tuple[bytes, int]
SUSPECT_AFTER_S = 2.0
STUCK_IN_ROW = 3
MAX_MISSES = 2
HALF_LIFE_S = 10.0
FLOOR_S = 1e-4
WORST = 20.0
NO_ROOM = inf
NOBODY: frozenset[str] = frozenset()
NUMBER = attrgetter("number")


def in_order(calls: Iterable[Call]) -> list[Call]:
    """Calls in the order of their arrival."""
    return sorted(calls, key=NUMBER)


@dataclass(slots=True, eq=False)
class Call:
    """A call on its way.

    Attributes:
        key: the client's routing id and the call's own id.
        frames: the envelope and its buffers, forwarded as they came.
        number: its place in the order of arrival.
        is_pinned: chunks went to or from its client, so that it cannot begin again.
        is_answered: the client has its answer; the worker has not ended it yet.
        is_stuck: the worker has not ended it long after it was told to.
        losses: workers that died with it.
        misses: beats in a row that did not list it.
    """

    key: Key
    method: int
    flags: int
    frames: list[Any]
    arrived: float
    deadline: float
    size: int
    is_legacy: bool = False
    number: int = 0
    is_pinned: bool = False
    is_answered: bool = False
    is_stuck: bool = False
    losses: frozenset[str] = NOBODY
    misses: int = 0
    dispatched: float = 0.0
    worker: Worker | None = None

    @property
    def may_rerun(self) -> bool:
        """Whether another worker may take it over."""
        if self.is_pinned:
            return False
        return is_harmless(self.frames[-1]) if self.is_legacy else bool(self.flags & Flag.IDEMPOTENT)

    def was_missed(self, held: frozenset[Key], sent_before: float) -> bool:
        """Whether two beats in a row did not list it, though it was sent long before."""
        if self.dispatched >= sent_before:
            return False
        self.misses = 0 if self.key in held else self.misses + 1
        return self.misses >= MAX_MISSES


class Client:
    """What one client has under way: its unanswered calls and their size."""

    __slots__ = ("calls", "num_bytes")

    def __init__(self) -> None:
        self.calls: set[Call] = set()
        self.num_bytes = 0


class Pace:
    """How fast a worker is at a method.

    The level is the logarithm of its peak latency, counted from a moment that moves with the clock: all levels
    fade at the same speed, so they can be compared without bringing any of them up to date.
    """

    __slots__ = ("level", "mean_s", "worker")

    def __init__(self, worker: Worker, level: float) -> None:
        self.worker = worker
        self.level = level
        self.mean_s = 0.0

    def took(self, seconds: float, now: float) -> None:
        """Note a latency: up at once, down slowly."""
        above = log2(seconds + FLOOR_S) + now / HALF_LIFE_S - self.level
        self.level += above if above > 0 else 0.3 * above
        mean_s = self.mean_s
        self.mean_s = mean_s + 0.1 * (seconds - mean_s) if mean_s else seconds

    def failed(self, now: float) -> None:
        """Count it as twice as slow: a broken worker answers fast, and would draw all calls."""
        lowest = lowest_level(now)
        self.level = min(max(self.level, lowest) + 1.0, lowest + WORST)

    def gave_up(self, seconds: float, now: float) -> None:
        """A call that nobody waited for took at least so long."""
        self.level = max(self.level, log2(seconds + FLOOR_S) + now / HALF_LIFE_S)


def lowest_level(now: float) -> float:
    """The level of a worker that answers in no time."""
    return log2(FLOOR_S) + now / HALF_LIFE_S


@dataclass(slots=True, eq=False)
class Worker:
    """A worker as it presented itself, and the calls that it holds.

    Attributes:
        paces: how fast it is, by method.
        elsewhere: methods that it leaves to other workers.
        room: calls that it may hold now.
        load: logarithm of the calls that it would hold with one more, or NO_ROOM.
        used: when it last got a call.
        orphans: calls that it still runs and that are not in these books any more.
        num_stuck: calls among those it holds that it does not end.
        stuck_in_row: how many it did not end since it last ended any.
        num_passed: interactive calls that it got since the last bulk call.
        has_refused: it sent a call back and has not been heard of since.
        is_silent: it has missed beats.
        is_stalled: it has missed so many that its calls were given up.
        is_clogged: all its slots have been stuck for as long.
    """

    id: bytes
    ready: Ready
    methods: frozenset[int]
    beat_at: float
    since: float
    running: set[Call] = field(default_factory=set)
    paces: dict[int, Pace] = field(default_factory=dict)
    elsewhere: frozenset[int] = field(init=False)
    room: int = 0
    load: float = 0.0
    used: float = 0.0
    orphans: int = 0
    num_stuck: int = 0
    stuck_at: float = 0.0
    stuck_in_row: int = 0
    num_passed: int = 0
    is_draining: bool = False
    has_refused: bool = False
    is_silent: bool = False
    is_stalled: bool = False
    is_clogged: bool = False
    beat: Beat = field(default_factory=Beat)

    def __post_init__(self) -> None:
        self.elsewhere = frozenset(map(method_key, self.ready.elsewhere))

    def is_suspect(self, now: float) -> bool:
        """Whether it has missed its beats; it gets no new calls, and nothing is killed."""
        return now - self.beat_at > SUSPECT_AFTER_S

    @property
    def is_stuck(self) -> bool:
        """Whether it should be started again."""
        return self.is_stalled or self.is_clogged or self.stuck_in_row >= STUCK_IN_ROW

    def state(self, now: float) -> Literal["ready", "suspect", "draining", "stuck"]:
        """Its state in a word."""
        if self.is_stuck:
            return "stuck"
        return "draining" if self.is_draining else "suspect" if self.is_suspect(now) else "ready"

    def settle(self) -> None:
        """Bring room and load up to date, after anything but a call's coming or going."""
        closed = self.is_draining or self.has_refused or self.is_silent or self.is_stuck
        self.room = 0 if closed else self.ready.slots - self.orphans
        num = len(self.running)
        self.load = log2(num + 1) if num < self.room else NO_ROOM

    def hold(self, call: Call, now: float) -> None:
        """Take a call."""
        call.worker = self
        call.dispatched = self.used = now
        call.misses = 0
        running = self.running
        running.add(call)
        num = len(running)
        self.load = log2(num + 1) if num < self.room else NO_ROOM

    def refuse(self, call: Call) -> None:
        """It sent a call back that it could not take: no others until it is heard of again."""
        self.has_refused = True
        self.release(call)
        self.settle()

    def release(self, call: Call) -> None:
        """Give a call back or up."""
        running = self.running
        running.discard(call)
        if call.is_stuck:
            call.is_stuck, self.is_clogged = False, False
            self.num_stuck -= 1
            self.settle()
        num = len(running)
        self.load = log2(num + 1) if num < self.room else NO_ROOM

    def ended(self, call: Call, now: float, *, is_sound: bool) -> None:
        """It ended a call; a worker whose fault the end was is not sound."""
        if self.stuck_in_row or self.has_refused:
            self.stuck_in_row, self.has_refused = 0, False
            self.settle()
        self.release(call)
        pace = self.paces[call.method]
        if not is_sound:
            pace.failed(now)
        elif call.is_answered:
            pace.gave_up(now - call.dispatched, now)
        else:
            pace.took(now - call.dispatched, now)

    def take_over(self, old: Worker) -> None:
        """It is the same worker as the old one, over another connection."""
        self.running, self.since, self.paces = old.running, old.since, old.paces
        self.num_stuck, self.stuck_at, self.stuck_in_row = old.num_stuck, old.stuck_at, old.stuck_in_row
        for pace in self.paces.values():
            pace.worker = self
        for call in self.running:
            call.worker = self

    def heard(self, now: float) -> bool:
        """It gave a sign of life; whether it can take calls that it could not take before."""
        was_closed = self.load == NO_ROOM
        self.beat_at = now
        self.has_refused = self.is_silent = self.is_stalled = False
        self.settle()
        return was_closed and self.load < NO_ROOM

    def note_stuck(self, call: Call, now: float) -> None:
        """A call that nobody waits for has not ended in time."""
        call.is_stuck = True
        self.num_stuck += 1
        self.stuck_in_row += 1
        self.stuck_at = now
        self.settle()

    def has_stalled(self, now: float) -> bool:
        """Whether it has been silent for longer than it said it could ever be."""
        longest = self.ready.max_stall_s
        return not self.is_stalled and 0 < longest < now - self.beat_at

    def has_clogged(self, now: float) -> bool:
        """Whether all its slots have been stuck for as long as that."""
        all_stuck = self.num_stuck >= self.ready.slots > 0
        return all_stuck and not self.is_clogged and 0 < self.ready.max_stall_s < now - self.stuck_at
