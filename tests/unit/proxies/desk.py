"""A dispatcher with a clock in the test's hands, and short words for what happens to it."""

from __future__ import annotations

from random import Random

from clients.errors import RagqError
from clients.greetings import Beat, Ready
from clients.wire import Flag
from proxies.actions import Action, CancelAt, Dispatch, Fail
from proxies.dispatch import Dispatcher
from proxies.limits import Limits
from proxies.parties import Call, Key

EMBED, SEARCH = 1, 2
ONCE, AGAIN = 0, int(Flag.IDEMPOTENT)
BULK, INPUT = int(Flag.BULK), int(Flag.STREAMS_INPUT)
ROOMY = Limits(max_client_calls=1 << 20, max_client_bytes=1 << 40)


class Desk:
    """A dispatcher and its clock."""

    def __init__(self, limits: Limits = ROOMY) -> None:
        self.now = 100.0
        self.dispatcher = Dispatcher(self.now, limits, Random(1))
        self._num_calls = 0

    # -- what happens --------------------------------------------------------------------------

    def worker(
        self,
        name: str,
        slots: int = 1,
        methods: tuple[int, ...] = (EMBED,),
        uuid: str = "",
        max_stall_s: float = 60.0,
        elsewhere: tuple[str, ...] = (),
    ) -> bytes:
        ready = Ready(uuid or name, 1, "host", "llm", [], slots, max_stall_s=max_stall_s, elsewhere=list(elsewhere))
        self.dispatcher.ready(name.encode(), ready, frozenset(methods), self.now)
        return name.encode()

    def call(
        self, method: int = EMBED, flags: int = AGAIN, ttl_s: float = 30.0, client: bytes = b"c", size: int = 10
    ) -> Call:
        self._num_calls += 1
        call = Call((client, self._num_calls), method, flags, [b""], self.now, self.now + ttl_s, size)
        self.dispatcher.call(call, self.now)
        return call

    def legacy_call(self, request: bytes) -> Call:
        self._num_calls += 1
        call = Call((b"c", self._num_calls), EMBED, 0, [b"", request], self.now, self.now + 60, 1, is_legacy=True)
        self.dispatcher.call(call, self.now)
        return call

    def reply(self, call: Call, *, failed: bool = False) -> Call | None:
        assert call.worker is not None
        return self.dispatcher.replied(call.worker.id, call.key, self.now, failed=failed)

    def gone(self, worker: bytes) -> None:
        self.dispatcher.gone(worker, self.now)

    def beat(self, worker: bytes, *held: Call) -> None:
        self.beat_keys(worker, frozenset(call.key for call in held))

    def beat_keys(self, worker: bytes, held: frozenset[Key]) -> None:
        self.dispatcher.beat(worker, Beat(), held, self.now)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.dispatcher.tick(self.now)

    def live(self, seconds: float) -> None:
        """Time passes while every worker beats and lists its calls."""
        end = self.now + seconds
        while self.now < end:
            self.wait(min(0.5, end - self.now))
            for worker in list(self.dispatcher.workers.values()):
                self.beat(worker.id, *worker.running)

    # -- what comes out ------------------------------------------------------------------------

    def actions(self) -> list[Action]:
        return list(self.dispatcher.actions())

    def sent_to(self) -> list[tuple[Call, bytes]]:
        return [(a.call, a.worker) for a in self.actions() if isinstance(a, Dispatch)]

    def sent(self) -> list[Call]:
        return [call for call, _ in self.sent_to()]

    def failures(self) -> list[tuple[Call, type[RagqError]]]:
        return [(a.call, type(a.error)) for a in self.actions() if isinstance(a, Fail)]

    def errors(self) -> list[RagqError]:
        return [a.error for a in self.actions() if isinstance(a, Fail)]

    def cancelled(self) -> list[tuple[bytes, Key]]:
        return [(a.worker, a.key) for a in self.actions() if isinstance(a, CancelAt)]

    def state(self, worker: bytes) -> str:
        return self.dispatcher.workers[worker].state(self.now)
