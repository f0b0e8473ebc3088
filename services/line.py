"""How a worker stands with one of its proxies: whether it is known there, with how many slots, and when it beats."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

from clients.errors import RagqError
from clients.packing import Buffer, pack
from clients.peer import Peer
from clients.wire import BEAT_INTERVAL_S, Beat, Envelope, Kind, Ready
from services.running import Key, Running

OFFER_INTERVAL_S = 0.05
RETRY_REFUSED_S = 30.0
log = logging.getLogger("ragq.worker")


class Line:
    """The connection to one proxy; one thread uses it.

    Attributes:
        epoch: stands for the present connection; a call's answer goes over the one that it came over, or nowhere.
        running: the calls that came over it and have not ended, by client and number.
        is_known: the proxy was told what this worker serves, over this connection.
        is_asked: it was told that this worker wants no more calls.
        is_drained: the proxy answered the last DRAIN, so no more calls come.
        slots: calls that the proxy was told it may give.
    """

    def __init__(self, address: str, peer: Peer) -> None:
        self.address, self.peer = address, peer
        self.epoch = object()
        self.running: dict[Key, Running] = {}
        self.is_known = self.is_asked = self.is_drained = False
        self.slots = 0
        self._outbox: deque[Sequence[Buffer]] = deque()
        self._beat_at = 0.0
        self._renew_at: float | None = None

    def look(self, now: float) -> None:
        """See what became of the connection."""
        for change in self.peer.changes():
            if change.refusal is not None:
                self.refused(change.refusal, now)
            elif not change.is_connected:
                self.renew()
                break  # what the old connection still told is of no interest
        if self._renew_at is not None and now >= self._renew_at:
            self.renew()

    def refused(self, why: RagqError, now: float) -> None:
        """The proxy does not let this worker in, or not any more; worth another try much later."""
        if self._renew_at is None:
            log.error("not let in, trying again in %.0f s: %s", RETRY_REFUSED_S, why)
        self._renew_at = now + RETRY_REFUSED_S
        self.is_known = False

    @property
    def is_refused(self) -> bool:
        """Whether there is no use in offering this worker now."""
        return self._renew_at is not None

    def leave(self) -> None:
        """The proxy is about to end, and has nothing to do here: connect afresh, to its successor."""
        self._renew_at = 0.0

    def renew(self) -> None:
        """Connect afresh; nobody can hear of the calls that came over the old connection."""
        self.epoch, running, self.running = object(), self.running, {}
        for call in list(running.values()):
            call.cancel()
        self.is_known = self.is_asked = self.is_drained = False
        self._renew_at = None
        self._outbox.clear()
        self.peer.renew()

    def offer(self, ready: Ready) -> None:
        """Present the worker, or tell the proxy that it has other slots now."""
        self.is_known = self.control(Envelope(Kind.READY, 0, body=pack(ready).body))
        self.slots = ready.slots

    @property
    def due_at(self) -> float:
        """Moment of the next beat or try."""
        return self._beat_at + (BEAT_INTERVAL_S if self.is_known else OFFER_INTERVAL_S)

    def tried(self, now: float) -> None:
        """A beat or a try is made now."""
        self._beat_at = now

    def beat(self, beat: Beat) -> None:
        """Tell the proxy that the worker lives, and which of its calls it holds."""
        self.is_known = self.control(Envelope(Kind.BEAT, 0, body=pack(beat).body))

    def control(self, envelope: Envelope) -> bool:
        """Send a message for the proxy itself; whether it is on its way."""
        return self.peer.send([b"", envelope.encode()])

    def answer(self, running: Running, frames: Sequence[Buffer]) -> None:
        """Send an answer as soon as there is room; one to a connection that is gone is dropped."""
        if running.epoch is not self.epoch:
            return
        frames = [running.route, *frames]
        if self._outbox or not self.peer.send(frames):
            self._outbox.append(frames)

    def flush(self) -> None:
        """There may be room again."""
        while self._outbox and self.peer.send(self._outbox[0]):
            self._outbox.popleft()

    @property
    def is_flushed(self) -> bool:
        """Whether every answer is on its way."""
        return not self._outbox

    def ask_to_drain(self) -> None:
        """Ask for no more calls; the proxy answers after the last one."""
        self.is_drained = False
        self.is_asked = self.control(Envelope(Kind.DRAIN, 0))


def shares(slots: int, num_lines: int) -> list[int]:
    """How many slots each line offers: an equal part, and at least one, because a proxy without a slot is no proxy."""
    return [max(1, slots // num_lines + (i < slots % num_lines)) for i in range(num_lines)]
