"""What a worker that hangs does to its calls, and how its proxy says so."""

from __future__ import annotations

from clients.errors import WorkerLost
from proxies.actions import CancelAt
from proxies.timers import CANCEL_GRACE_S
from tests.unit.proxies.desk import ONCE, Desk


def test_a_worker_without_beats_for_longer_than_it_said_loses_its_calls(desk: Desk) -> None:
    worker = desk.worker("a", slots=2, max_stall_s=10)
    again, once = desk.call(ttl_s=60), desk.call(flags=ONCE, ttl_s=60)
    desk.actions()
    desk.wait(9)
    assert (desk.actions(), desk.state(worker)) == ([], "suspect")
    desk.wait(2)
    assert desk.failures() == [(once, WorkerLost)]
    assert desk.state(worker) == "stuck"
    other = desk.worker("b")
    assert desk.sent_to() == [(again, other)]
    assert desk.dispatcher.tally.losses["stalled"] == 1


def test_a_worker_that_said_it_may_be_silent_for_ever_keeps_its_calls(desk: Desk) -> None:
    worker = desk.worker("a", max_stall_s=0)
    call = desk.call(ttl_s=3600)
    desk.wait(1800)
    assert call.worker is desk.dispatcher.workers[worker]


def test_a_stalled_worker_that_comes_back_drops_what_was_taken_from_it_before_it_gets_more(desk: Desk) -> None:
    worker = desk.worker("a", max_stall_s=10)
    call = desk.call(ttl_s=120)
    desk.wait(11)
    other = desk.worker("b", max_stall_s=0)
    desk.wait(0.5)
    desk.actions()
    waits = desk.call()
    desk.beat(worker, call)
    assert desk.actions() == [CancelAt(worker, call.key)]
    assert desk.state(worker) == "ready"
    assert desk.dispatcher.replied(worker, call.key, desk.now, failed=False) is None
    desk.beat(worker)
    assert desk.sent_to() == [(waits, worker)]
    assert call.worker is desk.dispatcher.workers[other]


def test_a_call_does_not_go_back_to_the_worker_that_stalled_with_it(desk: Desk) -> None:
    worker = desk.worker("a", slots=2, max_stall_s=10)
    call = desk.call(ttl_s=120)
    desk.wait(11)
    desk.beat(worker)
    assert call.worker is None
    later = desk.call()
    assert later.worker is desk.dispatcher.workers[worker]
    other = desk.worker("b")
    assert call.worker is desk.dispatcher.workers[other]


def test_three_cancelled_calls_in_a_row_that_do_not_end_make_a_worker_stuck(desk: Desk) -> None:
    worker = desk.worker("a", slots=4)
    calls = [desk.call() for _ in range(3)]
    for call in calls:
        desk.dispatcher.cancel(call.key)
    desk.live(CANCEL_GRACE_S - 0.5)
    assert desk.state(worker) == "ready"
    desk.live(1.0)
    assert desk.state(worker) == "stuck"
    waits = desk.call()
    assert waits.worker is None
    desk.reply(calls[0])
    assert desk.state(worker) == "ready"
    assert waits.worker is desk.dispatcher.workers[worker]


def test_a_worker_that_ends_some_of_its_calls_is_not_stuck(desk: Desk) -> None:
    worker = desk.worker("a", slots=8)
    for _ in range(4):
        desk.dispatcher.cancel(desk.call().key)
        good = desk.call()
        desk.live(CANCEL_GRACE_S + 0.5)
        desk.reply(good)
    assert desk.state(worker) == "ready"
    assert desk.dispatcher.workers[worker].num_stuck == 4


def test_a_worker_whose_only_slot_hangs_is_stuck_after_the_time_it_gave(desk: Desk) -> None:
    worker = desk.worker("a", max_stall_s=20)
    call = desk.call(ttl_s=1)
    desk.live(10)
    assert desk.state(worker) == "ready"
    desk.live(15)
    assert desk.state(worker) == "stuck"
    desk.reply(call)
    assert desk.state(worker) == "ready"


def test_a_late_end_of_a_stuck_call_is_counted(desk: Desk) -> None:
    worker = desk.worker("a")
    call = desk.call(ttl_s=1)
    desk.live(5)
    assert desk.dispatcher.workers[worker].num_stuck == 1
    assert desk.reply(call) is None
    assert desk.dispatcher.workers[worker].num_stuck == 0
    assert desk.dispatcher.tally.late_replies == 1
