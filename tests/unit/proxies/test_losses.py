"""What becomes of a call whose worker is lost, refuses, hangs, or comes back."""

from __future__ import annotations

import pytest

from clients.errors import PoisonCall, WorkerLost
from clients.packing import pack_map
from proxies.actions import CancelAt
from tests.unit.proxies.desk import AGAIN, INPUT, ONCE, Desk


def test_a_lost_workers_idempotent_call_goes_to_another_before_all_that_wait(desk: Desk) -> None:
    first = desk.worker("a")
    call, waits = desk.call(), desk.call()
    desk.gone(first)
    second = desk.worker("b")
    assert desk.sent_to()[-1] == (call, second)
    assert waits.worker is None
    assert desk.dispatcher.tally.requeued == 1


def test_a_lost_workers_other_call_fails(desk: Desk) -> None:
    worker = desk.worker("a")
    desk.worker("b")
    call = desk.call(flags=ONCE)
    desk.actions()
    assert call.worker is not None
    desk.gone(call.worker.id)
    assert desk.failures() == [(call, WorkerLost)]
    assert worker


def test_a_stream_of_which_the_client_has_seen_a_piece_is_not_begun_again(desk: Desk) -> None:
    worker = desk.worker("a")
    call = desk.call()
    assert desk.dispatcher.chunk(worker, call.key)
    desk.gone(worker)
    assert desk.failures() == [(call, WorkerLost)]


def test_a_call_whose_client_streams_is_not_begun_again(desk: Desk) -> None:
    worker = desk.worker("a")
    call = desk.call(flags=AGAIN | INPUT)
    desk.dispatcher.credited(worker, call.key)
    desk.gone(worker)
    assert desk.failures() == [(call, WorkerLost)]


def test_a_call_that_two_workers_died_with_is_not_given_to_a_third(desk: Desk) -> None:
    call = desk.call()
    for name in ("a", "b"):
        desk.gone(desk.worker(name))
    desk.worker("c")
    assert desk.failures() == [(call, PoisonCall)]


def test_a_worker_that_only_lost_its_connection_takes_its_call_again(desk: Desk) -> None:
    desk.gone(desk.worker("a", uuid="u")) if desk.call() else None
    (call,) = desk.dispatcher.calls.values()
    desk.actions()
    back = desk.worker("a2", uuid="u")
    assert desk.sent_to() == [(call, back)]


def test_a_call_that_could_not_be_handed_over_goes_to_another_whatever_its_kind(desk: Desk) -> None:
    desk.worker("a")
    call = desk.call(flags=ONCE)
    ((_, worker),) = desk.sent_to()
    other = desk.worker("b")
    desk.dispatcher.undelivered(call, worker, desk.now)
    assert desk.sent_to() == [(call, other)]
    desk.dispatcher.undelivered(call, worker, desk.now)
    assert call.worker is not None
    assert desk.actions() == []


def test_a_call_that_two_beats_do_not_list_was_lost_on_its_way(desk: Desk) -> None:
    worker = desk.worker("a")
    call = desk.call()
    desk.actions()
    desk.beat(worker)
    desk.wait(1.6)
    desk.beat(worker)
    assert desk.actions() == []
    desk.beat(worker)
    assert desk.sent_to() == [(call, worker)]
    assert call.losses == set()


def test_a_beat_that_lists_a_call_clears_the_doubt(desk: Desk) -> None:
    worker = desk.worker("a")
    call = desk.call()
    desk.actions()
    desk.wait(1.6)
    for _ in range(5):
        desk.beat(worker)
        desk.beat(worker, call)
    assert desk.actions() == []


def test_a_silent_worker_gets_no_new_calls_until_it_beats_again(desk: Desk) -> None:
    worker = desk.worker("a", slots=2)
    running = desk.call()
    desk.wait(2.1)
    call = desk.call()
    assert call.worker is None
    desk.actions()
    desk.beat(worker, running)
    assert desk.sent_to() == [(call, worker)]


def test_a_call_that_a_worker_refuses_goes_to_another_whatever_its_kind(desk: Desk) -> None:
    desk.worker("a", slots=2)
    call = desk.call(flags=ONCE)
    ((_, worker),) = desk.sent_to()
    other = desk.worker("b")
    desk.dispatcher.nack(worker, call.key, desk.now)
    assert desk.sent_to() == [(call, other)]
    assert (desk.dispatcher.tally.nacks, desk.dispatcher.tally.requeued) == (1, 0)


def test_a_worker_that_refused_gets_nothing_until_it_is_heard_of_again(desk: Desk) -> None:
    worker = desk.worker("a", slots=2)
    call = desk.call()
    desk.dispatcher.nack(worker, call.key, desk.now)
    later = desk.call()
    assert (call.worker, later.worker) == (None, None)
    desk.actions()
    desk.beat(worker)
    assert desk.sent_to() == [(call, worker), (later, worker)]


def test_a_call_that_was_streaming_when_its_second_worker_died_counts_as_poison_too(desk: Desk) -> None:
    call = desk.call()
    desk.gone(desk.worker("a"))
    second = desk.worker("b")
    desk.dispatcher.chunk(second, call.key)
    desk.gone(second)
    assert desk.failures() == [(call, PoisonCall)]


def test_a_worker_that_reconnects_keeps_its_calls(desk: Desk) -> None:
    desk.worker("a", uuid="u", slots=2)
    call = desk.call(flags=ONCE)
    desk.actions()
    back = desk.worker("a2", uuid="u", slots=2)
    assert list(desk.dispatcher.workers) == [back]
    assert desk.actions() == []
    assert call.losses == frozenset()
    assert desk.dispatcher.replied(b"a", call.key, desk.now, failed=False) is None
    assert desk.dispatcher.replied(back, call.key, desk.now, failed=False) is call


def test_what_got_lost_with_a_broken_connection_is_found_by_the_beats(desk: Desk) -> None:
    desk.worker("a", uuid="u", slots=2)
    again, once = desk.call(), desk.call(flags=ONCE)
    back = desk.worker("a2", uuid="u", slots=2)
    desk.actions()
    desk.wait(1.6)
    desk.beat(back)
    desk.beat(back)
    actions = desk.actions()
    assert [action.call for action in actions if not isinstance(action, CancelAt)] == [once, again]
    assert again.worker is desk.dispatcher.workers[back]


def test_a_loss_of_connection_does_not_count_towards_poison_wherever_the_call_is(desk: Desk) -> None:
    call = desk.call()
    desk.gone(desk.worker("a", uuid="u"))
    second = desk.worker("b")
    desk.worker("a2", uuid="u")
    desk.actions()
    desk.gone(second)
    assert desk.failures() == []
    assert call.worker is desk.dispatcher.workers[b"a2"]


@pytest.mark.parametrize("command", ["GET_EMBEDDINGS", "search_nearby", "INDEX_TEXTS"])
def test_a_harmless_call_of_the_older_mesh_goes_to_another_worker(desk: Desk, command: str) -> None:
    call = desk.legacy_call(pack_map({"cmd": command}))
    desk.gone(desk.worker("a"))
    assert desk.failures() == []
    assert call.worker is None


@pytest.mark.parametrize(
    "request_map",
    [
        pack_map({"cmd": "DELETE_COLLECTION"}),
        pack_map({"cmd": "NEW_THING"}),
        pack_map({"cmd": 7}),
        pack_map([1]),
        b"\xc1",
    ],
)
def test_any_other_call_of_the_older_mesh_ends_with_its_worker(desk: Desk, request_map: bytes) -> None:
    call = desk.legacy_call(request_map)
    desk.gone(desk.worker("a"))
    assert desk.failures() == [(call, WorkerLost)]


def test_a_call_whose_time_is_over_is_not_given_to_another(desk: Desk) -> None:
    worker = desk.worker("a")
    call = desk.call(ttl_s=1.0)
    desk.now += 2.0
    desk.gone(worker)
    assert desk.failures() == [(call, WorkerLost)]


def test_a_refused_call_that_nobody_waits_for_is_over(desk: Desk) -> None:
    worker = desk.worker("a")
    call = desk.call()
    desk.dispatcher.cancel(call.key)
    desk.dispatcher.nack(worker, call.key, desk.now)
    assert desk.dispatcher.calls == {}
    desk.dispatcher.nack(worker, call.key, desk.now)
    assert desk.dispatcher.tally.nacks == 1


def test_a_reply_reopens_a_worker_that_refused(desk: Desk) -> None:
    worker = desk.worker("a", slots=2)
    held, refused = desk.call(), desk.call()
    desk.actions()
    desk.dispatcher.nack(worker, refused.key, desk.now)
    assert refused.worker is None
    desk.reply(held)
    assert desk.sent_to() == [(refused, worker)]
