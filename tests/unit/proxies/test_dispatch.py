"""Which worker gets which call, and how a call ends, with the clock in the test's hands."""

from __future__ import annotations

import pytest

from clients.errors import Cancelled, ConnectionLost, DeadlineExceeded, Draining, UnknownMethod, Unreachable
from clients.wire import method_key
from proxies.actions import CancelAt, Dispatch, Fail, Reset
from proxies.dispatch import GRACE_S
from proxies.parties import Call
from tests.unit.proxies.desk import AGAIN, EMBED, INPUT, SEARCH, Desk


def test_a_call_goes_to_the_worker_with_a_free_slot(desk: Desk) -> None:
    first, second = desk.worker("a"), desk.worker("b")
    calls = [desk.call() for _ in range(3)]
    assert {worker for _, worker in desk.sent_to()} == {first, second}
    assert calls[2].worker is None
    assert desk.dispatcher.num_waiting == 1


def test_the_time_in_the_queue_is_told_to_the_worker(desk: Desk) -> None:
    desk.call()
    desk.wait(1.5)
    desk.worker("a")
    (dispatch,) = desk.actions()
    assert isinstance(dispatch, Dispatch)
    assert dispatch.waited_ms == 1500


def test_a_worker_gets_only_methods_that_it_serves(desk: Desk) -> None:
    desk.worker("a", slots=8, methods=(EMBED,))
    searcher = desk.worker("b", methods=(SEARCH,))
    desk.call(SEARCH)
    desk.call(SEARCH)
    assert [worker for _, worker in desk.sent_to()] == [searcher]


def test_a_method_that_nobody_serves_is_refused_only_while_workers_are_there(desk: Desk) -> None:
    waits = desk.call(SEARCH)
    desk.worker("a")
    refused = desk.call(SEARCH)
    assert desk.failures() == [(refused, UnknownMethod)]
    assert waits.key in desk.dispatcher.calls


def test_a_method_that_is_served_elsewhere_waits_for_the_worker_that_will(desk: Desk) -> None:
    write = method_key("index.write")
    leader = desk.worker("leader", slots=2, methods=(SEARCH, write))
    follower = desk.worker("follower", slots=2, methods=(SEARCH,), elsewhere=("index.write",))
    lost = desk.call(write)
    desk.gone(leader)
    waits, read = desk.call(write), desk.call(SEARCH)
    assert [call for call, worker in desk.sent_to() if worker == follower] == [read]
    desk.live(GRACE_S + 1)
    assert desk.failures() == []
    desk.worker("follower", slots=3, methods=(SEARCH, write))
    assert desk.sent_to() == [(lost, follower), (waits, follower)]


def test_a_call_that_comes_twice_counts_once(desk: Desk) -> None:
    desk.worker("a", slots=2)
    call = desk.call()
    desk.dispatcher.call(Call(call.key, EMBED, AGAIN, [], desk.now, desk.now + 1, 1), desk.now)
    assert len(desk.sent_to()) == 1
    assert desk.dispatcher.tally.calls == 1


def test_a_cancelled_call_in_the_queue_is_forgotten_at_once(desk: Desk) -> None:
    call = desk.call()
    desk.dispatcher.cancel(call.key)
    assert desk.failures() == [(call, Cancelled)]
    assert (len(desk.dispatcher.calls), desk.dispatcher.num_waiting) == (0, 0)


def test_a_cancelled_call_keeps_its_slot_until_the_worker_ends_it(desk: Desk) -> None:
    worker = desk.worker("a")
    call, waits = desk.call(), desk.call()
    desk.actions()
    desk.dispatcher.cancel(call.key)
    desk.dispatcher.cancel(call.key)
    assert [type(a) for a in desk.actions()] == [Fail, CancelAt]
    assert waits.worker is None
    assert desk.reply(call, failed=True) is None
    assert desk.sent_to() == [(waits, worker)]


def test_a_client_that_is_gone_takes_its_calls_with_it_and_is_told_nothing(desk: Desk) -> None:
    worker = desk.worker("a")
    running, _queued, other = desk.call(client=b"x"), desk.call(client=b"x"), desk.call(client=b"y")
    desk.actions()
    desk.dispatcher.client_gone(b"x")
    desk.dispatcher.client_gone(b"x")
    assert desk.actions() == [CancelAt(worker, running.key)]
    assert set(desk.dispatcher.clients) == {b"y"}
    assert desk.reply(running) is None
    assert other.worker is not None


@pytest.mark.parametrize("has_worker", [True, False])
def test_a_call_whose_time_is_over_is_answered_on_time(desk: Desk, has_worker: bool) -> None:
    if has_worker:
        desk.worker("a")
    call = desk.call(ttl_s=0.5)
    assert desk.dispatcher.next_timer(desk.now) == 0.5
    desk.wait(0.4)
    assert desk.failures() == []
    desk.wait(0.1)
    assert desk.failures() == [(call, DeadlineExceeded)]
    if has_worker:
        assert desk.reply(call) is None
    assert desk.dispatcher.calls == {}


def test_without_a_worker_calls_are_given_up_after_a_grace(desk: Desk) -> None:
    call = desk.call()
    desk.wait(GRACE_S)
    assert desk.failures() == []
    desk.wait(0.1)
    assert desk.failures() == [(call, Unreachable)]


def test_a_draining_worker_gets_no_new_calls_and_ends_its_own(desk: Desk) -> None:
    worker = desk.worker("a", slots=2)
    call = desk.call()
    assert desk.dispatcher.drain_worker(worker)
    assert not desk.dispatcher.drain_worker(b"unknown")
    assert desk.call().worker is None
    assert desk.reply(call) is call


def test_an_unknown_worker_is_asked_to_present_itself(desk: Desk) -> None:
    desk.beat(b"stranger")
    assert desk.actions() == [Reset(b"stranger")]


def test_answers_of_strangers_and_answers_too_many_are_dropped(desk: Desk) -> None:
    worker = desk.worker("a")
    call = desk.call()
    assert desk.dispatcher.replied(b"stranger", call.key, desk.now, failed=False) is None
    assert not desk.dispatcher.chunk(b"stranger", call.key)
    assert desk.reply(call) is call
    assert desk.dispatcher.replied(worker, call.key, desk.now, failed=False) is None


def test_a_draining_proxy_refuses_new_calls_and_abandons_the_rest_in_the_end(desk: Desk) -> None:
    desk.worker("a")
    running, queued = desk.call(), desk.call()
    desk.dispatcher.drain()
    refused = desk.call()
    assert desk.failures() == [(refused, Draining)]
    desk.dispatcher.abandon()
    assert desk.failures() == [(running, ConnectionLost), (queued, Draining)]


def test_what_a_client_sends_to_its_call_goes_to_the_worker_that_has_it(desk: Desk) -> None:
    call = desk.call(flags=AGAIN | INPUT)
    assert desk.dispatcher.input_of(call.key) is None
    worker = desk.worker("a")
    assert desk.dispatcher.input_of(call.key) == worker
    assert desk.dispatcher.credited(worker, call.key)
    assert not desk.dispatcher.credited(b"stranger", call.key)
    desk.dispatcher.cancel(call.key)
    assert not desk.dispatcher.credited(worker, call.key)
    assert desk.dispatcher.input_of(call.key) is None


def test_a_worker_that_may_not_ask_for_chunks_is_not_heard(desk: Desk) -> None:
    worker = desk.worker("a")
    call = desk.call()
    assert not desk.dispatcher.credited(worker, call.key)
    assert not call.is_pinned


def test_a_call_whose_time_ran_out_between_two_ticks_is_not_begun(desk: Desk) -> None:
    running, late = desk.call(ttl_s=30), desk.call(ttl_s=1)
    desk.now += 1.5
    desk.worker("a", slots=2)
    assert desk.sent() == [running]
    desk.wait(0)
    assert late.key not in desk.dispatcher.calls
    assert desk.dispatcher.tally.expired_waiting == 1


def test_a_cancelled_call_is_not_answered_again_when_its_time_is_over(desk: Desk) -> None:
    desk.worker("a")
    call = desk.call(ttl_s=1)
    desk.dispatcher.cancel(call.key)
    desk.actions()
    desk.live(2)
    assert desk.actions() == []


def test_a_call_that_is_late_already_is_refused(desk: Desk) -> None:
    desk.worker("a")
    call = desk.call(ttl_s=0)
    assert desk.failures() == [(call, DeadlineExceeded)]
    assert desk.dispatcher.calls == {}


def test_timers_of_ended_calls_do_not_pile_up(desk: Desk) -> None:
    desk.worker("a", slots=8)
    for _ in range(5000):
        desk.reply(desk.call(ttl_s=1000))
        desk.wait(0.0)
    assert len(desk.dispatcher._timers) < 200
    assert desk.dispatcher.next_timer(desk.now) == 1.0
    desk.wait(1000)
    assert len(desk.dispatcher._timers) == 0


def test_a_worker_may_offer_other_methods_later(desk: Desk) -> None:
    worker = desk.worker("a", slots=2)
    search = desk.call(EMBED)
    desk.worker("a", slots=3, methods=(SEARCH,))
    refused = desk.call(EMBED)
    assert desk.failures() == [(refused, UnknownMethod)]
    assert desk.call(SEARCH).worker is desk.dispatcher.workers[worker]
    assert desk.reply(search) is search
