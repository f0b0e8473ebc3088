"""How calls come to workers, and back from them."""

from __future__ import annotations

from collections.abc import Iterable

from clients.errors import WorkerLost
from proxies.actions import Dispatch
from proxies.books import Books
from proxies.losses import Cause, verdict
from proxies.parties import NO_ROOM, Call, Worker, in_order
from proxies.roster import Roster


class Assignment:
    """Gives the calls of the books to the workers of the roster.

    It leaves no call waiting that a worker with room may take.
    """

    def __init__(self, books: Books, roster: Roster) -> None:
        self._books = books
        self._waiting = books.waiting
        self._roster = roster

    def give(self, call: Call, worker: Worker, now: float) -> None:
        """Give a call that does not wait to a worker."""
        worker.hold(call, now)
        self._books.actions.append(Dispatch(call, worker.id, int((now - call.arrived) * 1000)))

    def assign(self, method: int, now: float) -> None:
        """Give calls that wait to workers with room; a worker that may take none of them is passed over."""
        unsuited: list[Worker] = []
        while self._waiting.has(method) and (worker := self._roster.choose(method, now, unsuited)) is not None:
            if not self._give_next(worker, now):
                unsuited.append(worker)

    def serve(self, worker: Worker, now: float) -> None:
        """A worker has room again: give it what waits."""
        if not worker.is_suspect(now):
            while worker.load < NO_ROOM and self._give_next(worker, now):
                pass

    def _give_next(self, worker: Worker, now: float) -> bool:
        call = self._waiting.take(worker)
        if call is None:
            return False
        if call.deadline <= now:
            self._books.expire_unbegun(call)
        else:
            self.give(call, worker, now)
        return True

    def take_back(self, call: Call) -> None:
        """The worker has not begun a call: as if it had never been there."""
        _part(call)
        if call.is_answered:
            self._books.forget(call)
        elif call.is_pinned:
            self._books.tally.protocol_errors += 1
            self._books.end(call, WorkerLost("the worker sent the call back after it had begun"))
        else:
            self._waiting.add(call, is_back=True)

    def lose(self, calls: Iterable[Call], worker: Worker, cause: Cause, now: float) -> None:
        """A worker does not end these calls any more; others take them over, or they fail."""
        for call in in_order(calls):
            _part(call)
            if cause.is_death:
                call.losses |= {worker.ready.uuid}
            if call.is_answered:
                self._books.forget(call)
            elif (error := verdict(call, worker, cause, now)) is not None:
                self._books.end(call, error)
            else:
                self._books.tally.requeued += 1
                self._waiting.add(call, is_back=True)
        for method in self._waiting.methods():
            self.assign(method, now)


def _part(call: Call) -> None:
    if call.worker is not None:
        call.worker.release(call)
        call.worker = None
