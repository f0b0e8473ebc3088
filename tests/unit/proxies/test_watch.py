"""When a proxy looks for lost peers."""

from __future__ import annotations

from itertools import pairwise

from proxies.watch import Watch


def looks(watch: Watch, begin: float, end: float) -> list[float]:
    """The times of all looks in a span, to a thousandth of a second."""
    times = [begin + step / 1000 for step in range(int((end - begin) * 1000))]
    return [round(now - begin, 3) for now in times if watch.is_due(now)]


def test_nobody_is_looked_for_while_nothing_happens() -> None:
    watch = Watch()
    assert watch.due_at is None
    assert looks(watch, 5.0, 8.0) == []


def test_one_event_is_followed_by_looks_less_and_less_often() -> None:
    watch = Watch()
    watch.alarm(5.0)
    found = looks(watch, 5.0, 8.0)
    assert found[0] == 0.0
    assert 0.9 < found[-1] < 1.5
    pauses = [round(later - earlier, 2) for earlier, later in pairwise(found)]
    assert pauses == sorted(pauses)
    assert watch.due_at is None


def test_a_flood_of_events_does_not_become_a_flood_of_looks() -> None:
    watch = Watch()
    num = 0
    for step in range(1000):
        now = 5.0 + step / 1000
        watch.alarm(now)
        num += watch.is_due(now)
    assert num <= 51
