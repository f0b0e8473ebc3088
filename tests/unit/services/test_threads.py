"""Handlers' threads are used again, and never more than there were calls at a time."""

from __future__ import annotations

import threading

from services.threads import Threads


def test_calls_one_after_the_other_share_a_thread() -> None:
    threads, seen = Threads("handler"), set()
    for _ in range(50):
        over = threading.Event()
        threads.start(lambda over=over: (seen.add(threading.get_ident()), over.set()))  # type: ignore[misc]
        assert over.wait(5)
        # The thread counts itself idle just after its work is done.
        while threads._num_idle == 0:
            pass
    assert len(seen) == 1


def test_calls_at_the_same_time_do_not_wait_for_one_another() -> None:
    threads, together = Threads("handler"), threading.Barrier(4, timeout=5)
    done = [threading.Event() for _ in range(4)]
    for event in done:
        threads.start(lambda event=event: (together.wait(), event.set()))  # type: ignore[misc]
    assert all(event.wait(5) for event in done)
