"""When something has to happen to a call: its deadline, and the end of its worker's grace."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Mapping

from proxies.parties import Call, Key, Worker

CANCEL_GRACE_S = 2.0
SPARE = 64


class Timers:
    """The deadlines of calls, and those cancelled calls that a worker has still to end."""

    def __init__(self, calls: Mapping[Key, Call]) -> None:
        self._calls = calls
        self._deadlines: list[tuple[float, Key]] = []
        self._graces: deque[tuple[float, Call]] = deque()

    def __len__(self) -> int:
        return len(self._deadlines) + len(self._graces)

    def watch(self, call: Call) -> None:
        """Remember the deadline of a call."""
        heapq.heappush(self._deadlines, (call.deadline, call.key))

    def _sort_out(self) -> None:
        """Drop the deadlines of calls that have ended, which most do long before."""
        get = self._calls.get
        self._deadlines = [
            entry for entry in self._deadlines if (call := get(entry[1])) is not None and not call.is_answered
        ]
        heapq.heapify(self._deadlines)

    def _is_open(self, entry: tuple[float, Key]) -> bool:
        call = self._calls.get(entry[1])
        return call is not None and not call.is_answered and call.deadline == entry[0]

    def told(self, call: Call, now: float) -> None:
        """The worker of a call was told to cancel it."""
        self._graces.append((now + CANCEL_GRACE_S, call))

    def expired(self, now: float) -> Iterator[Call]:
        """Calls whose time is over, each once."""
        if len(self._deadlines) > 2 * len(self._calls) + SPARE:
            self._sort_out()
        while self._deadlines and self._deadlines[0][0] <= now:
            entry = heapq.heappop(self._deadlines)
            if self._is_open(entry):
                yield self._calls[entry[1]]

    def overdue(self, now: float) -> Iterator[tuple[Call, Worker]]:
        """Cancelled calls that their worker has not ended in time, each once."""
        while self._graces:
            due, call = self._graces[0]
            worker = call.worker
            is_held = worker is not None and call in worker.running
            if is_held and due > now:
                return
            self._graces.popleft()
            if is_held and worker is not None:
                yield call, worker

    def next_at(self, horizon: float) -> float:
        """When the next one is due, if that is before the horizon; else the horizon."""
        while self._deadlines and self._deadlines[0][0] < horizon:
            if self._is_open(self._deadlines[0]):
                horizon = self._deadlines[0][0]
                break
            heapq.heappop(self._deadlines)
        return min(horizon, self._graces[0][0]) if self._graces else horizon
