"""Whose call is next when calls wait."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any, cast

from proxies.limits import Limits
from proxies.parties import Call
from tests.unit.proxies.desk import AGAIN, BULK, EMBED, SEARCH, Desk

Trace = Callable[[FrameType, str, Any], Any]


def test_waiting_calls_are_served_in_their_order(desk: Desk) -> None:
    calls = [desk.call() for _ in range(3)]
    desk.worker("a")
    order = []
    for call in calls:
        order += desk.sent_to()
        desk.reply(call)
    assert [call for call, _ in order] == calls
    assert desk.dispatcher.tally.calls == 3


def test_a_method_with_many_calls_starves_no_other(desk: Desk) -> None:
    desk.worker("a", methods=(EMBED, SEARCH))
    flood = [desk.call(EMBED)]
    desk.wait(0.1)
    flood += [desk.call(EMBED) for _ in range(5)]
    desk.wait(0.1)
    search = desk.call(SEARCH)
    desk.wait(0.1)
    for _ in range(5):
        flood += [desk.call(EMBED)]
        busy = next(c for c in [*flood, search] if c.worker is not None and c.key in desk.dispatcher.calls)
        desk.reply(busy)
    desk.reply(next(c for c in flood if c.worker is not None and c.key in desk.dispatcher.calls))
    assert search.worker is not None


def served(desk: Desk, num: int) -> list[Call]:
    """The next ``num`` calls that a worker with one slot gets, in order."""
    desk.actions()
    order: list[Call] = []
    for _ in range(num):
        (running,) = (call for worker in desk.dispatcher.workers.values() for call in worker.running)
        desk.reply(running)
        order += desk.sent()
    return order


def test_a_client_with_many_calls_does_not_keep_another_waiting(desk: Desk) -> None:
    desk.worker("a")
    desk.call(client=b"busy")
    flood = [desk.call(client=b"busy") for _ in range(50)]
    few = [desk.call(client=b"calm") for _ in range(3)]
    order = served(desk, 6)
    assert [call for call in order if call.key[0] == b"calm"] == few
    assert [call for call in order if call.key[0] == b"busy"] == flood[:3]


def test_methods_take_turns_whoever_calls_them(desk: Desk) -> None:
    desk.worker("a", methods=(EMBED, SEARCH))
    desk.call()
    for _ in range(50):
        desk.call(EMBED)
    searches = [desk.call(SEARCH) for _ in range(3)]
    order = served(desk, 6)
    assert [call for call in order if call.method == SEARCH] == searches


def test_a_bulk_call_goes_for_every_four_interactive_ones(desk: Desk) -> None:
    desk.worker("a")
    desk.call()
    for _ in range(100):
        desk.call(flags=AGAIN | BULK, client=b"ingest")
    for _ in range(100):
        desk.call(client=b"reader")
    lanes = [bool(call.flags & BULK) for call in served(desk, 50)]
    assert Counter(lanes) == {False: 40, True: 10}
    assert all(sum(lanes[start : start + 5]) == 1 for start in range(0, 50, 5))


def test_the_bulk_lane_has_all_the_slots_while_nobody_else_calls(desk: Desk) -> None:
    desk.worker("a")
    calls = [desk.call(flags=AGAIN | BULK) for _ in range(10)]
    assert served(desk, 9) == calls[1:]
    assert desk.dispatcher.waiting.nums == (0, 0)


def test_one_client_in_both_lanes_keeps_its_order_in_each(desk: Desk) -> None:
    desk.worker("a")
    desk.call()
    bulk = [desk.call(flags=AGAIN | BULK) for _ in range(4)]
    quick = [desk.call() for _ in range(16)]
    order = served(desk, 20)
    assert [call for call in order if call.flags & BULK] == bulk
    assert [call for call in order if not call.flags & BULK] == quick


def test_calls_of_a_lost_worker_come_first_in_their_old_order(desk: Desk) -> None:
    first = desk.worker("a", slots=5)
    begun = [desk.call(client=bytes([65 + number])) for number in range(5)]
    waiting = [desk.call() for _ in range(3)]
    desk.gone(first)
    desk.actions()
    desk.worker("b", slots=20)
    assert desk.sent() == begun + waiting


def test_calls_of_several_lost_workers_stand_in_the_order_of_their_arrival(desk: Desk) -> None:
    workers = [desk.worker(name, slots=2) for name in "ab"]
    calls = [desk.call() for _ in range(4)]
    assert calls[0].worker is not calls[1].worker
    for worker in reversed(workers):
        desk.dispatcher.drain_worker(worker)
        desk.gone(worker)
    desk.actions()
    desk.worker("c", slots=4)
    assert desk.sent() == calls


def test_a_call_can_be_taken_out_wherever_it_stands(desk: Desk) -> None:
    first = desk.worker("a", slots=3)
    begun = [desk.call() for _ in range(3)]
    waiting = [desk.call(client=client) for client in (b"c", b"d", b"c")]
    desk.gone(first)
    for call in (begun[1], waiting[0], waiting[1]):
        desk.dispatcher.cancel(call.key)
    desk.actions()
    desk.worker("b", slots=20)
    assert desk.sent() == [begun[0], begun[2], waiting[2]]
    assert desk.dispatcher.waiting.num_bytes == 0


class Name(bytes):
    """A client's name that is compared by Python, so that looking through a list of calls is counted as well."""

    def __eq__(self, other: object) -> bool:
        return bytes.__eq__(self, cast("bytes", other))

    __hash__ = bytes.__hash__


def num_lines(act: Callable[[], None]) -> int:
    """How many lines of Python are run; the processor's time depends on what else the machine does."""
    num = 0

    def trace(_frame: FrameType, event: str, _detail: object) -> Trace:
        nonlocal num
        num += event == "line"
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(former)
    return num


def test_ten_times_the_calls_are_ten_times_the_work() -> None:
    def work(num: int) -> int:
        desk = Desk(Limits(1 << 20, 1 << 40, 1 << 20, 1 << 40))

        def act() -> None:
            calls = [desk.call(client=Name(b"%d" % (number % 7))) for number in range(num)]
            for call in calls[::2]:
                desk.dispatcher.cancel(call.key)
            desk.worker("a", slots=num)
            assert desk.dispatcher.num_waiting == 0

        return num_lines(act)

    assert work(3_000) < 15 * work(300)
