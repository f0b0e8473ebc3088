"""Which workers are there, and which of them will be done first with one more call."""

from __future__ import annotations

import random
import sys
from collections.abc import Collection, Iterable

from clients.greetings import Ready
from clients.wire import method_key
from proxies.parties import SUSPECT_AFTER_S, Pace, Worker, lowest_level

MAX_SCANNED = 63
NUM_SAMPLED = 4
NONE: list[Pace] = []


class Roster:
    """The workers of one service."""

    def __init__(self, chance: random.Random | None = None) -> None:
        self.workers: dict[bytes, Worker] = {}
        self._by_method: dict[int, list[Pace]] = {}
        self._random = (chance or random.Random()).random  # noqa: S311 - chooses workers, not keys

    def serves(self, method: int) -> bool:
        """Whether any worker does, busy or not."""
        return method in self._by_method

    def awaits(self, method: int) -> bool:
        """Whether one that serves it is expected: another worker of the service says so."""
        return any(method in worker.elsewhere for worker in self.workers.values())

    def add(self, worker: Worker, now: float) -> None:
        """Take a worker in, with the methods that it serves."""
        self.workers[worker.id] = worker
        for method in worker.methods:
            paces = self._by_method.setdefault(method, [])
            level = min((pace.level for pace in paces), default=lowest_level(now))
            pace = worker.paces.get(method) or Pace(worker, level)
            worker.paces[method] = pace
            paces.append(pace)
        worker.settle()

    def remove(self, worker: Worker) -> None:
        """Strike a worker off."""
        del self.workers[worker.id]
        for method in worker.methods:
            paces = self._by_method[method]
            paces.remove(worker.paces[method])
            if not paces:
                del self._by_method[method]

    def update(self, worker: Worker, ready: Ready, methods: frozenset[int], now: float) -> None:
        """A worker says anew what it is."""
        if methods != worker.methods:
            self.remove(worker)
            worker.methods = methods
            self.add(worker, now)
        worker.ready = ready
        worker.elsewhere = frozenset(map(method_key, ready.elsewhere))

    def of_uuid(self, uuid: str) -> Worker | None:
        """The worker that calls itself so."""
        return next((worker for worker in self.workers.values() if worker.ready.uuid == uuid), None)

    def choose(self, method: int, now: float, without: Collection[Worker] = ()) -> Worker | None:
        """The worker with room that is expected to be done first; of equals the one least recently used."""
        paces = self._by_method.get(method, NONE)
        if without:
            paces = [pace for pace in paces if pace.worker not in without]
        worker = _first(paces) if len(paces) <= MAX_SCANNED else _first(self._sample(paces)) or _first(paces)
        if worker is None or now - worker.beat_at <= SUSPECT_AFTER_S:
            return worker
        worker.is_silent = True
        worker.settle()
        return self.choose(method, now, without)

    def _sample(self, paces: list[Pace]) -> list[Pace]:
        num, chance = len(paces), self._random
        return [paces[int(chance() * num)] for _ in range(NUM_SAMPLED)]

    def rate(self, method: int) -> float:
        """Calls of a method that the workers end in a second; 0 while nobody knows."""
        paces = [p for p in self._by_method.get(method, ()) if not (p.worker.is_silent or p.worker.is_stuck)]
        known = [pace for pace in paces if pace.mean_s]
        slots = sum(pace.worker.ready.slots for pace in known)
        if not slots:
            return 0.0
        rate = sum(pace.worker.ready.slots / pace.mean_s for pace in known)
        return rate * sum(pace.worker.ready.slots for pace in paces) / slots


def _first(paces: Iterable[Pace]) -> Worker | None:
    best, least = None, sys.float_info.max
    for pace in paces:
        worker = pace.worker
        cost = pace.level + worker.load
        if cost > least:
            continue
        if best is None or cost < least or worker.used < best.used:
            best, least = worker, cost
    return best
