"""Any events in any order, and what must always hold."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from clients.errors import Busy, Draining, OverLimit, UnknownMethod
from proxies.parties import Call
from tests.unit.proxies.desk import AGAIN, BULK, EMBED, INPUT, ONCE, SEARCH
from tests.unit.proxies.watched import LIMITS, Watched

CLIENTS = st.sampled_from([b"c", b"d", b"e"])
METHODS = st.sampled_from([(EMBED, SEARCH), (EMBED,), (SEARCH,)])
SELDOM = st.sampled_from([False, False, False, True])
PICK = st.integers(0, 11)
SLOTS = st.sampled_from([2, 1, 3, 2, 0])
FLAGS = st.sampled_from([ONCE, AGAIN, AGAIN | BULK, ONCE | INPUT, AGAIN | INPUT])


class Life(Watched):
    """A service with its clients and workers, of which anything may happen to any at any time."""

    # -- events: workers -------------------------------------------------------------------------

    @rule(slots=SLOTS, methods=METHODS, uuid=st.sampled_from(["", "", "", "u"]),
          max_stall_s=st.sampled_from([60.0, 5.0, 0.0]))  # fmt: skip
    def ready(self, slots: int, methods: tuple[int, ...], uuid: str, max_stall_s: float) -> None:
        name = f"w{len(self.names)}"
        self.most_slots[uuid or name] = max(self.most_slots[uuid or name], slots)
        self.names.append(self.desk.worker(name, slots, methods, uuid, max_stall_s))
        self.look()

    @precondition(lambda self: self.names)
    @rule(worker=PICK, slots=SLOTS, methods=METHODS)
    def ready_again(self, worker: int, slots: int, methods: tuple[int, ...]) -> None:
        name = self.worker_at(worker)
        known = self.desk.dispatcher.workers.get(name)
        if known is not None:
            self.refusing.discard(name)
            self.most_slots[known.ready.uuid] = max(self.most_slots[known.ready.uuid], slots)
            self.desk.worker(name.decode(), slots, methods, known.ready.uuid, known.ready.max_stall_s)
        self.look()

    @precondition(lambda self: self.names)
    @rule(worker=PICK, lists=st.sampled_from(["all", "none", "half", "more"]))
    def beat(self, worker: int, lists: str) -> None:
        name = self.worker_at(worker)
        known = self.desk.dispatcher.workers.get(name)
        held = sorted(call.key for call in known.running) if known else []
        others = [call.key for call in self.accepted[-3:]] if lists == "more" else []
        part = {"none": 0, "half": len(held) // 2}.get(lists, len(held))
        self.refusing.discard(name)
        self.desk.beat_keys(name, frozenset(held[:part] + others))
        self.look()

    @precondition(lambda self: self.names)
    @rule(worker=PICK, died=st.booleans(), happens=SELDOM)
    def gone(self, worker: int, died: bool, happens: bool) -> None:
        if not happens:
            return
        name = self.worker_at(worker)
        self.desk.dispatcher.gone(name, self.desk.now, died=died)
        assert name not in self.desk.dispatcher.workers
        self.look()

    @precondition(lambda self: self.names)
    @rule(worker=PICK, happens=SELDOM)
    def drain_worker(self, worker: int, happens: bool) -> None:
        name = self.worker_at(worker)
        if happens and self.desk.dispatcher.drain_worker(name):
            self.draining.add(name)
        self.look()

    @precondition(lambda self: self.accepted)
    @rule(call=PICK, has_lost_its_worker=st.booleans())
    def hand_back(self, call: int, has_lost_its_worker: bool) -> None:
        picked = self.call_at(call)
        worker = self.worker_of(picked)
        if picked.key in self.desk.dispatcher.calls and picked.worker is not None:
            self.handed_back[picked.key] += 1
            self.refusing.add(worker)
        if has_lost_its_worker:
            self.desk.dispatcher.undelivered(picked, worker, self.desk.now)
        else:
            self.desk.dispatcher.nack(worker, picked.key, self.desk.now)
        self.look()

    @precondition(lambda self: self.names and self.accepted)
    @rule(call=PICK, worker=PICK)
    def what_comes_from_strangers_is_dropped(self, call: int, worker: int) -> None:
        dispatcher = self.desk.dispatcher
        picked, name = self.call_at(call), self.worker_at(worker)
        if picked.key in dispatcher.calls:
            dispatcher.call(picked, self.desk.now)
        if name != self.worker_of(picked):
            assert not dispatcher.chunk(name, picked.key)
            assert not dispatcher.credited(name, picked.key)
            assert dispatcher.replied(name, picked.key, self.desk.now, failed=False) is None
            dispatcher.nack(name, picked.key, self.desk.now)
        assert self.desk.actions() == []

    # -- events: calls ---------------------------------------------------------------------------

    @rule(method=st.sampled_from([EMBED, SEARCH]), flags=FLAGS,
          ttl_s=st.sampled_from([30.0, 3.0, 0.3]), client=CLIENTS, size=st.sampled_from([1, 20]),
          num=st.integers(1, 4))  # fmt: skip
    def calls(self, method: int, flags: int, ttl_s: float, client: bytes, size: int, num: int) -> None:
        for _ in range(num):
            self.call(method, flags, ttl_s, client, size)

    def call(self, method: int, flags: int, ttl_s: float, client: bytes, size: int) -> None:
        own = self.open_calls(client)
        is_over = len(own) >= LIMITS.max_client_calls or sum(c.size for c in own) + size > LIMITS.max_client_bytes
        call = self.desk.call(method, flags, ttl_s, client, size)
        errors = self.look()
        if call.key in self.desk.dispatcher.calls or self.ended[call.key] == 0:
            assert not is_over
            self.accepted.append(call)
            return
        self.num_refused += 1
        assert isinstance(errors[-1], OverLimit) == (is_over and not isinstance(errors[-1], Draining))
        assert isinstance(errors[-1], Busy | UnknownMethod | Draining)

    @precondition(lambda self: self.accepted)
    @rule(call=PICK, failed=st.booleans(), code=st.sampled_from([3, 13]))
    def reply(self, call: int, failed: bool, code: int) -> None:
        picked = self.call_at(call)
        self.reply_of(self.worker_of(picked), picked, failed=failed, code=code)

    @precondition(lambda self: self.accepted)
    @rule(call=PICK, asks=st.booleans())
    def stream(self, call: int, asks: bool) -> None:
        picked = self.call_at(call)
        worker, is_open = self.worker_of(picked), not self.ended[picked.key]
        sends = self.desk.dispatcher.credited if asks else self.desk.dispatcher.chunk
        wanted = sends(worker, picked.key)
        is_held = picked.worker is not None and is_open
        assert wanted == (is_held and (not asks or bool(picked.flags & INPUT)))
        assert self.desk.dispatcher.input_of(picked.key) == (worker if is_held else None)
        self.look()

    def reply_of(self, worker: bytes, call: Call, *, failed: bool, code: int) -> None:
        if call.key in self.desk.dispatcher.calls and worker == self.worker_of(call):
            self.refusing.discard(worker)
        delivered = self.desk.dispatcher.replied(worker, call.key, self.desk.now, failed=failed, code=code)
        if delivered is not None:
            assert worker == self.worker_of(call)
            self.ended[delivered.key] += 1
        self.look()

    @precondition(lambda self: self.accepted)
    @rule(call=PICK)
    def cancel(self, call: int) -> None:
        picked = self.call_at(call)
        self.desk.dispatcher.cancel(picked.key)
        self.look()
        assert self.ended[picked.key] == 1

    @rule(client=CLIENTS, happens=SELDOM)
    def client_gone(self, client: bytes, happens: bool) -> None:
        if not happens:
            return
        left = self.open_calls(client)
        self.desk.dispatcher.client_gone(client)
        for call in left:
            self.ended[call.key] += 1
        self.look()

    # -- events: time ----------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 2.5, 20.0]), beats=st.sampled_from([True, True, False]))
    def time(self, seconds: float, beats: bool) -> None:
        self.desk.wait(seconds)
        self.look()
        assert all(call.deadline > self.desk.now for call in self.open_calls())
        for worker in list(self.desk.dispatcher.workers.values()) if beats else ():
            self.refusing.discard(worker.id)
            self.desk.beat(worker.id, *worker.running)
            self.look()

    @precondition(lambda self: len(self.names) > 7)
    @rule()
    def drain(self) -> None:
        self.desk.dispatcher.drain()


class TestLife(Life.TestCase):  # type: ignore[misc]  # Hypothesis makes the class when it runs
    """A short look, in every run."""

    settings = settings(max_examples=20, stateful_step_count=40, deadline=None)


@pytest.mark.slow
@pytest.mark.timeout(900)
class TestLongLife(Life.TestCase):  # type: ignore[misc]  # Hypothesis makes the class when it runs
    """A long look."""

    settings = settings(max_examples=800, stateful_step_count=60, deadline=None)
