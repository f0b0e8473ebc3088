"""What a proxy counts and says of itself."""

from __future__ import annotations

import pytest

from clients.errors import Busy, Draining
from clients.greetings import Ready
from clients.packing import pack, unpack
from clients.status import ServiceStats, ServiceStatus
from clients.wire import method_key
from proxies.report import report, stats
from proxies.tally import MAX_REASONS, Tally
from tests.unit.proxies.desk import AGAIN, BULK, SEARCH, Desk

EMBED = method_key("llm.embed")


def worker(desk: Desk, slots: int = 1) -> bytes:
    ready = Ready("u", 1, "host", "llm", ["llm.embed"], slots)
    desk.dispatcher.ready(b"w", ready, frozenset({EMBED}), desk.now)
    return b"w"


def said(desk: Desk) -> ServiceStats:
    return stats("llm", desk.dispatcher, 90.0, desk.now)


def test_answers_are_counted_with_where_their_time_went(desk: Desk) -> None:
    worker(desk)
    first, second = desk.call(EMBED), desk.call(EMBED)
    desk.live(0.2)
    desk.reply(first)
    desk.live(0.03)
    desk.reply(second)
    (row,) = said(desk).methods
    assert (row.method, [(o.code, o.reason, o.num) for o in row.outcomes]) == ("llm.embed", [(0, "", 2)])
    bounds = said(desk).bounds_s
    assert [bounds[i] for i, num in enumerate(row.queue.counts) if num] == [bounds[0], 0.25]
    assert [bounds[i] for i, num in enumerate(row.worker.counts) if num] == [0.05, 0.25]
    assert row.total.sum_s == pytest.approx(0.43)
    assert len(row.total.counts) == len(bounds) + 1


def test_failures_are_counted_by_code_and_reason(desk: Desk) -> None:
    worker(desk, slots=4)
    failed, cancelled, expired = desk.call(EMBED), desk.call(EMBED), desk.call(EMBED, ttl_s=1)
    desk.dispatcher.replied(b"w", failed.key, desk.now, failed=True, code=9, reason="NO_MODEL")
    desk.dispatcher.cancel(cancelled.key)
    desk.live(1.0)
    (row,) = said(desk).methods
    assert {(o.code, o.reason): o.num for o in row.outcomes} == {
        (9, "NO_MODEL"): 1,
        (1, "CANCELLED"): 1,
        (4, "EXPIRED"): 1,
    }
    assert (said(desk).failed, said(desk).expired_running, said(desk).expired_waiting) == (3, 1, 0)
    assert expired.is_answered


def test_a_worker_that_invents_reasons_does_not_fill_the_memory() -> None:
    tally = Tally()
    for number in range(10 * MAX_REASONS):
        tally.failed_with(7, 2, f"REASON_{number}")
    tally.failed_with(7, 2, "REASON_0")
    (row,) = tally.shown()
    counted = {outcome.reason: outcome.num for outcome in row.outcomes}
    assert len(counted) == MAX_REASONS + 1
    assert (counted["REASON_0"], counted["OTHER"]) == (2, 9 * MAX_REASONS)


def test_methods_that_nobody_serves_share_a_row(desk: Desk) -> None:
    worker(desk)
    for method in range(100):
        desk.call(method)
    (row,) = said(desk).methods
    assert (row.method, row.outcomes[0].num) == ("unknown", 100)
    assert said(desk).refusals == {"NO_METHOD": 100}


def test_what_is_held_now_is_told(desk: Desk) -> None:
    worker(desk, slots=1)
    for client in (b"a", b"b", b"b"):
        desk.call(EMBED, client=client, size=7)
    desk.call(EMBED, flags=AGAIN | BULK, size=7)
    now = said(desk)
    assert (now.waiting, now.waiting_bytes, now.running, now.slots, now.clients) == ([2, 1], 21, 1, 1, 3)
    assert now.workers == {"ready": 1}


def test_losses_and_refusals_are_counted_by_cause(desk: Desk) -> None:
    worker(desk)
    desk.call(EMBED)
    desk.gone(b"w")
    worker(desk)
    desk.dispatcher.drain_worker(b"w")
    desk.gone(b"w")
    desk.dispatcher.drain()
    desk.call(EMBED)
    assert said(desk).losses == {"died": 1, "left": 1}
    assert len(desk.dispatcher.tally.left) == 1
    assert said(desk).refusals == {Draining.reason: 1}
    assert said(desk).requeued == 2
    assert Busy.reason not in said(desk).refusals


def test_stats_and_status_travel(desk: Desk) -> None:
    worker(desk)
    desk.reply(desk.call(EMBED))
    desk.call(SEARCH)
    counted = said(desk)
    assert unpack(ServiceStats, pack(counted)) == counted
    status = report("llm", desk.dispatcher, 90.0, desk.now)
    assert unpack(ServiceStatus, pack(status)) == status
    assert (status.state, status.num_calls, status.workers[0].state) == ("ready", 2, "ready")


def test_a_stuck_worker_is_called_so_in_the_status(desk: Desk) -> None:
    worker(desk)
    desk.wait(70)
    assert [w.state for w in report("llm", desk.dispatcher, 90.0, desk.now).workers] == ["stuck"]


def test_a_proxy_tells_what_it_costs(desk: Desk) -> None:
    shown = said(desk)
    assert shown.cpu_s > 0
    assert shown.rss_bytes > 10 << 20
