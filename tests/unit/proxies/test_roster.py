"""Which worker will be done first."""

from __future__ import annotations

from collections import Counter

from proxies.parties import Call
from tests.unit.proxies.desk import EMBED, SEARCH, Desk


def test_a_fast_worker_is_preferred_and_an_idle_mesh_takes_turns(desk: Desk) -> None:
    slow, fast = desk.worker("slow", slots=4), desk.worker("fast", slots=4)
    taken = Counter[bytes]()
    for _ in range(20):
        call = desk.call()
        assert call.worker is not None
        taken[call.worker.id] += 1
        desk.now += 1.0 if call.worker.id == slow else 0.01
        for worker in (slow, fast):
            desk.beat(worker, call)
        desk.reply(call)
    assert taken[fast] > 15
    assert taken[slow] >= 1


def run(desk: Desk, call: Call, seconds: float) -> None:
    desk.live(seconds)
    desk.reply(call)


def test_equal_workers_take_turns(desk: Desk) -> None:
    for name in "abc":
        desk.worker(name, slots=4)
    taken = []
    for _ in range(6):
        call = desk.call()
        assert call.worker is not None
        taken.append(call.worker.id)
        desk.now += 0.01
    assert sorted(taken[:3]) == sorted(taken[3:]) == [b"a", b"b", b"c"]


def test_a_worker_that_is_slow_at_one_method_is_not_thought_slow_at_another(desk: Desk) -> None:
    both = desk.worker("both", slots=4, methods=(EMBED, SEARCH))
    search = desk.call(SEARCH)
    other = desk.worker("other", slots=4)
    run(desk, search, 5.0)
    taken = set()
    for _ in range(4):
        call = desk.call(EMBED)
        assert call.worker is not None
        taken.add(call.worker.id)
        run(desk, call, 0.01)
    assert taken == {both, other}


def test_a_worker_that_only_fails_fast_does_not_draw_all_calls(desk: Desk) -> None:
    broken, sound = desk.worker("broken", slots=2), desk.worker("sound", slots=2)
    taken = Counter[bytes]()
    for _ in range(40):
        calls = [desk.call(), desk.call()]
        desk.live(0.05)
        for call in calls:
            assert call.worker is not None
            taken[call.worker.id] += 1
            if call.worker.id == broken:
                desk.dispatcher.replied(broken, call.key, call.dispatched + 0.0001, failed=True, code=13)
        desk.live(0.05)
        for call in calls:
            if call.key in desk.dispatcher.calls:
                desk.reply(call)
    assert taken[sound] > 20


def test_among_very_many_workers_a_free_one_is_always_found(desk: Desk) -> None:
    for number in range(100):
        desk.worker(f"w{number}")
    calls = [desk.call() for _ in range(100)]
    assert {call.worker.id for call in calls if call.worker} == set(desk.dispatcher.workers)
    assert desk.call().worker is None


def test_among_very_many_workers_slow_ones_get_less(desk: Desk) -> None:
    slow = {desk.worker(f"w{number}", slots=8) for number in range(32)}
    for number in range(32, 64):
        desk.worker(f"w{number}", slots=8)
    taken = Counter[bool]()
    for round_ in range(20):
        calls = [desk.call() for _ in range(32)]
        desk.live(0.01)
        for is_slow in (False, True):
            for call in calls:
                assert call.worker is not None
                if (call.worker.id in slow) is is_slow and call.key in desk.dispatcher.calls:
                    taken[is_slow] += round_ > 5
                    desk.reply(call)
            desk.live(1.0)
    assert taken[False] > 3 * taken[True]
