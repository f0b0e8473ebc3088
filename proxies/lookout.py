"""Which workers and clients are not there any more."""

from __future__ import annotations

from collections.abc import Callable

from clients.system import Lost
from proxies.delivery import PING, Delivery
from proxies.dispatch import Dispatcher
from proxies.front import Front
from proxies.watch import Watch

IDLE_PAUSE_S = 10.0
LEAVING_PAUSE_S = 1.0


class Lookout:
    """Sends a PING to those who may be gone: a ROUTER knows at once whom it cannot reach.

    Args:
        dispatcher: knows who has calls under way.
        delivery: the way out.
        front: knows which clients said HELLO.
        hear_workers: handles every message that has come at the back, so that a reply that is here already counts.
    """

    def __init__(
        self, dispatcher: Dispatcher, delivery: Delivery, front: Front, hear_workers: Callable[[float], None]
    ) -> None:
        self._dispatcher, self._delivery, self._front = dispatcher, delivery, front
        self._hear_workers = hear_workers
        self.workers, self.clients = Watch(), Watch()
        self._has_idle_losses = False
        self._idle_at = self._leaving_at = 0.0

    def pause_s(self, now: float, longest_s: float) -> float:
        """Seconds until the next look, at most so many."""
        due = [watch.due_at for watch in (self.workers, self.clients) if watch.due_at is not None]
        return min((longest_s, *(max(0.0, at - now) for at in due)))

    def look(self, now: float) -> None:
        """Look for those that may be gone by now."""
        if self.workers.is_due(now):
            self._look_for_workers(now)
        if self.clients.is_due(now):
            self._has_idle_losses = True
            self._look_for(self._callers())
        if self._has_idle_losses and now >= self._idle_at:
            self._has_idle_losses, self._idle_at = False, now + IDLE_PAUSE_S
            self._look_for(set(self._front.greeted))

    def look_for_all(self, now: float) -> None:
        """Look for every client that said HELLO; a proxy that leaves waits for each of them."""
        if now >= self._leaving_at:
            self._leaving_at = now + LEAVING_PAUSE_S
            self._look_for(set(self._front.greeted))

    def _look_for_workers(self, now: float) -> None:
        self._hear_workers(now)
        for worker in list(self._dispatcher.workers):
            if not self._delivery.control(worker, PING):
                self._dispatcher.gone(worker, now)

    def lose(self, lost: Lost, now: float) -> None:
        """A worker's process has ended: its workers are gone, whatever its connections still look like."""
        self._hear_workers(now)
        for worker in list(self._dispatcher.workers.values()):
            if (worker.ready.pid, worker.ready.host) == (lost.pid, lost.host):
                self._dispatcher.gone(worker.id, now)

    def _callers(self) -> set[bytes]:
        """Clients with calls under way; those of the older profile cannot be asked."""
        rows = self._dispatcher.clients.items()
        return {client for client, row in rows if not all(call.is_legacy for call in row.calls)}

    def _look_for(self, clients: set[bytes]) -> None:
        for client in clients:
            if not self._delivery.is_there(client):
                self._front.forget(client)
