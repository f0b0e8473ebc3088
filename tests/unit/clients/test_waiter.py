"""One thread ends what another waits for."""

from __future__ import annotations

from clients.waiter import Waiter, waiter, waiting


def test_a_waiter_ends_what_is_waited_for_now_and_what_comes_later() -> None:
    ended: list[str] = []
    task = Waiter()
    token = waiter.set(task)
    try:
        with waiting(lambda: ended.append("past")):
            pass
        with waiting(lambda: ended.append("now")):
            task.cancel()
        with waiting(lambda: ended.append("later")):
            pass
    finally:
        waiter.reset(token)
    assert ended == ["now", "later"]
    with waiting(lambda: ended.append("nobody waits")):
        assert ended == ["now", "later"]
