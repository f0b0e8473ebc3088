"""A worker's connection to one proxy: whether the proxy knows the worker, and the calls that came over it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass, field

from clients import sockets
from clients.errors import RagqError
from clients.frames import Buffer
from clients.greetings import Beat, Ready
from clients.keys import Credential
from clients.packing import pack
from clients.peer import Peer
from clients.wire import Envelope, Kind
from services.running import Key, Running
from services.watch import Watch

log = logging.getLogger("ragq.worker")
BURST = 100
FULL_S = 0.02
CALM_S = 0.2
REFUSED_S = 30.0


@dataclass(slots=True, eq=False)
class Session:
    """What belongs to a connection and ends with it: nobody hears of it over the next one.

    Attributes:
        calls: that came over it and have not ended.
        outbox: what waits to be sent.
    """

    calls: dict[Key, Running] = field(default_factory=dict)
    outbox: deque[list[Buffer]] = field(default_factory=deque)


class Line:
    """One proxy of a worker. The I/O thread uses it; handlers' threads only ``leave`` and ``send``.

    A thread that has an answer sends it itself while the I/O thread sleeps, so nobody has to wake up for
    it; one at a time is at the socket, and sends what the others leave.

    Args:
        address: of the proxy's back.
        watch: whose sleep ends when there is something to do.
        credential: in a mesh with keys.

    Attributes:
        session: of the present connection.
        share: slots that the proxy was told, 0 while it does not know this worker.
        is_connected: messages reach the proxy, and it has not refused this worker.
        is_draining: it was asked to send no more calls.
        is_drained: it has answered that.
        has_mail: something has come that the file descriptors do not tell.
        fds: readable when a message came, and when the connection changed.
    """

    def __init__(self, address: str, watch: Watch, credential: Credential | None = None) -> None:
        self.address = address
        self.session = Session()
        self.share = 0
        self.is_connected = self.is_draining = self.is_drained = self.has_mail = False
        self._renew_at: float | None = None
        self._calm_at, self._trouble = 0.0, ""
        self._using = threading.Lock()
        self._is_full = False
        server_key = credential.back if credential else ""
        self._peer = Peer(address, linger_ms=sockets.LINGER_MS, credential=credential, server_key=server_key)
        self._watch = watch
        self.fds = self._peer.fds()

    @property
    def is_known(self) -> bool:
        """Whether the proxy was told what this worker serves."""
        return self.share > 0

    @property
    def is_usable(self) -> bool:
        """Whether the proxy can be offered this worker."""
        return self.is_connected and not self._is_full

    @property
    def can_send(self) -> bool:
        """Whether something waits to be sent, and may be."""
        return bool(self.session.outbox) and not self._is_full

    @property
    def has_sent_all(self) -> bool:
        """Whether nothing waits to be sent."""
        return not self.session.outbox

    # -- any thread ------------------------------------------------------------------------------

    def leave(self, session: Session, frames: list[Buffer]) -> None:
        """Have the I/O thread send a message, with others that come meanwhile."""
        session.outbox.append(frames)
        self._watch.rouse()

    def send(self, session: Session, frames: list[Buffer]) -> None:
        """Send a message, unless the I/O thread is awake and does it anyway: nobody has to wake up for it."""
        session.outbox.append(frames)
        if self._watch.is_asleep:
            self.push()

    def push(self) -> None:
        """Send what waits, unless another thread is at it."""
        while self.session.outbox and not self._is_full and self._using.acquire(blocking=False):
            try:
                self._flush()
                self.has_mail = self.has_mail or self._peer.has_mail()  # sending may take the signal of mail away
            finally:
                self._using.release()
            if self.has_mail or self._is_full:
                self._watch.rouse()

    def _flush(self) -> None:
        outbox = self.session.outbox
        while outbox:
            if not self._peer.send(outbox[0]):
                self._is_full = True
                return
            outbox.popleft()

    # -- the I/O thread --------------------------------------------------------------------------

    def tell(self, kind: Kind, body: bytes = b"") -> None:
        """Send a message about this worker, after the answers that wait."""
        self.session.outbox.append([b"", Envelope(kind, 0, body=body).encode()])
        self.push()

    def offer(self, ready: Ready) -> None:
        """Tell the proxy what this worker serves, and how many slots of it are the proxy's."""
        self.share = ready.slots
        self.tell(Kind.READY, pack(ready).body)

    def drain(self) -> None:
        """Ask for no more calls."""
        self.is_draining = True
        self.tell(Kind.DRAIN)

    def beat(self, beat: Beat) -> None:
        """Tell how this worker is; a proxy that takes no messages gets no beats either, and a new offer later."""
        if self._is_full:
            self.share = 0
        else:
            self.tell(Kind.BEAT, pack(beat).body)

    def receive(self) -> list[list[bytes]]:
        """The messages that have come, a burst at most."""
        with self._using:
            messages = list(self._peer.receive(BURST))
            self.has_mail = len(messages) == BURST
        return messages if self._renew_at is None else []

    def look(self, now: float) -> None:
        """The connection changed."""
        for change in list(self._peer.changes()):
            if change.is_connected:
                self.is_connected, self._trouble, self._renew_at = True, "", None
            elif change.refusal is not None:
                self.refused(change.refusal, now)
            else:
                self._renew(now)
                return

    def forgotten(self) -> None:
        """The proxy does not know this worker, so nobody waits for the answers to its calls."""
        self._drop_calls()

    def refused(self, error: RagqError, now: float) -> None:
        """The proxy does not let this worker in; worth another try much later."""
        if error.message != self._trouble:
            log.error("%s; tried again every %.0f s; %s", error.message, REFUSED_S, error.help)
        self._trouble = error.message
        self.is_connected = False
        self._drop_calls()
        self._renew_at = now + REFUSED_S

    def move(self, now: float) -> None:
        """The proxy is about to end, and has nothing to do here: connect afresh, to its successor."""
        self.is_connected = False
        self._drop_calls()
        self._renew_at = now

    def violated(self, error: RagqError, now: float) -> None:
        """The proxy said what it must not say: what it thinks of this worker is not known any more."""
        log.warning("%s: %s; connecting again", self.address, error.message)
        self.is_connected = False
        self._drop_calls()
        self._renew_at = max(now, self._calm_at)

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self._renew_at is not None and self._renew_at <= now:
            self._renew(now)
        self._is_full = False
        self.push()

    def next_timer(self, now: float) -> float | None:
        """Moment at which ``tick`` has something to do."""
        return now + FULL_S if self._is_full and self.session.outbox else self._renew_at

    def _renew(self, now: float) -> None:
        self._drop_calls()
        self.is_connected, self._renew_at, self._calm_at = False, None, now + CALM_S
        with self._using:
            self._peer.renew()
            self.fds = self._peer.fds()
        self.has_mail = False

    def _drop_calls(self) -> None:
        self.share, self.is_draining, self.is_drained = 0, False, False
        with self._using:
            ended, self.session = self.session, Session()
        for running in list(ended.calls.values()):
            running.call.cancelled.set()

    def close(self) -> None:
        """Say goodbye, and let go; what was sent goes out within the linger time."""
        if self.is_known:
            self.tell(Kind.BYE)
        with self._using:
            self._is_full = True  # a handler that ends later finds nobody to answer
            self._peer.close()
