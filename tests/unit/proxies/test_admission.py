"""When a call is refused, and when to come back."""

from __future__ import annotations

import pytest

from clients.errors import Busy, OverLimit
from proxies.limits import Limits
from tests.unit.proxies.desk import ROOMY, Desk


def test_a_full_queue_refuses_and_says_when_to_come_back(desk: Desk) -> None:
    for _ in range(ROOMY.max_waiting):
        desk.call(size=1)
    refused = desk.call(size=1)
    (error,) = desk.errors()
    assert refused.key not in desk.dispatcher.calls
    assert isinstance(error, Busy)
    assert error.retry_after_s > 0
    desk.worker("a")
    desk.call(size=1)
    assert desk.failures() == []


def test_the_queue_is_limited_in_bytes_too(desk: Desk) -> None:
    desk.call(size=ROOMY.max_waiting_bytes)
    refused = desk.call(size=1)
    assert desk.failures() == [(refused, Busy)]
    desk.worker("a", slots=2)
    assert desk.call(size=1).worker is not None


@pytest.mark.parametrize(("limits", "size"), [(Limits(max_client_calls=3), 1), (Limits(max_client_bytes=30), 10)])
def test_one_client_may_have_so_much_under_way_and_no_more(limits: Limits, size: int) -> None:
    desk = Desk(limits)
    desk.worker("a", slots=2)
    first, *_ = [desk.call(size=size, client=b"x") for _ in range(3)]
    desk.actions()
    refused = desk.call(size=size, client=b"x")
    (error,) = desk.errors()
    assert isinstance(error, OverLimit)
    assert error.retry_after_s > 0
    assert refused.key not in desk.dispatcher.calls
    desk.call(size=size, client=b"y")
    desk.reply(first)
    desk.call(size=size, client=b"x")
    assert desk.failures() == []


def test_a_call_that_would_wait_longer_than_it_has_time_is_refused_at_once(desk: Desk) -> None:
    desk.worker("a")
    for _ in range(5):
        call = desk.call(ttl_s=100)
        desk.live(2.0)
        desk.reply(call)
    desk.call(ttl_s=100)
    for _ in range(10):
        desk.call(ttl_s=100)
    desk.actions()
    short = desk.call(ttl_s=5)
    (error,) = desk.errors()
    assert isinstance(error, Busy)
    assert 15 < error.retry_after_s < 25
    assert short.key not in desk.dispatcher.calls
    assert desk.call(ttl_s=30).key in desk.dispatcher.calls


def test_a_client_whose_turn_comes_soon_is_not_refused_for_the_flood_of_another(desk: Desk) -> None:
    desk.worker("a")
    call = desk.call(ttl_s=100)
    desk.live(1.0)
    desk.reply(call)
    for _ in range(20):
        desk.call(ttl_s=100, client=b"flood")
    assert desk.call(ttl_s=5, client=b"calm").key in desk.dispatcher.calls
    desk.actions()
    refused = desk.call(ttl_s=5, client=b"flood")
    assert desk.failures() == [(refused, Busy)]
