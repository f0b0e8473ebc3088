"""Which calls there are and whose they are; each is entered once and ends exactly once."""

from __future__ import annotations

from clients.errors import Cancelled, ConnectionLost, DeadlineExceeded, Draining, RagqError, Unreachable
from proxies.actions import Action, CancelAt, Fail
from proxies.parties import Call, Client, Key
from proxies.tally import Tally
from proxies.timers import Timers
from proxies.waiting import Waiting


class Books:
    """The calls of one service, from their arrival to their end.

    Attributes:
        calls: every call that has not ended at its worker, answered or not.
        clients: those with unanswered calls, by routing id.
        actions: what has to be sent.
    """

    def __init__(self) -> None:
        self.calls: dict[Key, Call] = {}
        self.clients: dict[bytes, Client] = {}
        self.waiting = Waiting()
        self.timers = Timers(self.calls)
        self.tally = Tally()
        self.actions: list[Action] = []

    def enter(self, call: Call, client: Client) -> None:
        """A call was taken in."""
        self.calls[call.key] = call
        if not client.calls:
            self.clients[call.key[0]] = client
        client.calls.add(call)
        client.num_bytes += call.size
        self.timers.watch(call)

    def refuse(self, call: Call, error: RagqError) -> None:
        """Answer a call that was not taken in."""
        self.tally.refusals[error.reason] += 1
        self._fail(call, error)

    def end(self, call: Call, error: RagqError) -> None:
        """A call ends with an error, and no worker has it."""
        self._fail(call, error)
        self.forget(call)

    def answer_early(self, call: Call, error: RagqError, now: float) -> None:
        """Answer a call before a worker has ended it."""
        self._fail(call, error)
        self._let_go(call, now)

    def expire(self, call: Call, now: float) -> None:
        """The time of a call is over."""
        if call.worker is None:
            self.waiting.remove(call)
            self.expire_unbegun(call)
        else:
            self.tally.expired_running += 1
            self.answer_early(call, DeadlineExceeded("the time of the call ran out while it was worked on"), now)

    def expire_unbegun(self, call: Call) -> None:
        """The time of a call is over, which was just taken out of the queue."""
        self.tally.expired_waiting += 1
        self.end(call, DeadlineExceeded("the time of the call ran out while it waited in the queue"))

    def abandon(self, call: Call, now: float) -> None:
        """Nobody is there any more who could hear an answer."""
        self.tally.failed_with(call.method, Cancelled.code, Cancelled.reason)
        self._let_go(call, now)

    def give_up_waiting(self, now: float) -> None:
        """No worker came."""
        nobody = Unreachable("the service has no worker", help="'ragq status' tells why; its log has the details")
        for call in list(self.waiting):
            self.answer_early(call, nobody, now)

    def close(self, now: float) -> None:
        """Fail everything that is left; what a worker has may have run."""
        for call in [call for call in self.calls.values() if not call.is_answered]:
            error = (
                Draining("the proxy shut down before a worker took the call")
                if call.worker is None
                else ConnectionLost("the proxy shut down while the call was under way; it may have run")
            )
            self.answer_early(call, error, now)

    def _fail(self, call: Call, error: RagqError) -> None:
        self.tally.failed_with(call.method, error.code, error.reason)
        self.actions.append(Fail(call, error))

    def _let_go(self, call: Call, now: float) -> None:
        worker = call.worker
        if worker is None:
            self.waiting.remove(call)
            self.forget(call)
            return
        call.is_answered = True
        self._close_account(call)
        self.timers.told(call, now)
        self.actions.append(CancelAt(worker.id, call.key))

    def forget(self, call: Call) -> None:
        """A call has ended; it neither waits nor runs."""
        del self.calls[call.key]
        if call.is_answered:
            call.frames = []  # its timer may hold it for a while, and a request can be large
        else:
            self._close_account(call)

    def _close_account(self, call: Call) -> None:
        client = self.clients[call.key[0]]
        client.calls.remove(call)
        client.num_bytes -= call.size
        if not client.calls:
            del self.clients[call.key[0]]
