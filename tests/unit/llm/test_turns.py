"""Calls wait for their turn in order, and those whose callers are gone do not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from clients.errors import Busy, Cancelled, DeadlineExceeded
from services.llm.turns import Turns
from services.service import Call


def call(timeout_s: float = 10.0) -> Call:
    return Call(time.monotonic() + timeout_s)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def queued(turns: Turns, names: list[str], order: list[str]) -> list[threading.Thread]:
    """Threads that wait for their turns, in this order."""

    def work(name: str) -> None:
        with turns.take(call()):
            order.append(name)

    threads = []
    for number, name in enumerate(names, 1):
        threads.append(threading.Thread(target=work, args=(name,)))
        threads[-1].start()
        until(lambda number=number: turns.num_waiting == number)  # type: ignore[misc]
    return threads


def test_turns_come_in_the_order_of_the_calls() -> None:
    turns, order = Turns(1, 8), list[str]()
    with turns.take(call()):
        threads = queued(turns, ["a", "b", "c", "d"], order)
        assert order == []
    for thread in threads:
        thread.join()
    assert order == ["a", "b", "c", "d"]


def test_so_many_work_at_a_time() -> None:
    turns = Turns(2, 8)
    with turns.take(call()), turns.take(call()), pytest.raises(DeadlineExceeded), turns.take(call(0.05)):
        pass
    with turns.take(call(0.05)):
        assert turns.num_waiting == 0


def test_one_more_than_may_wait_is_told_to_come_back() -> None:
    turns, order = Turns(1, 1), list[str]()
    with turns.take(call()):
        (thread,) = queued(turns, ["a"], order)
        with pytest.raises(Busy) as failure, turns.take(call()):
            pass
        assert failure.value.retry_after_s > 0
    thread.join()
    assert order == ["a"]


def test_a_caller_who_gives_up_leaves_the_queue() -> None:
    turns, gone = Turns(1, 1), call()
    with turns.take(call()):
        gone.cancelled.set()
        with pytest.raises(Cancelled), turns.take(gone):
            pass
        assert turns.num_waiting == 0
    with turns.take(call(0.05)):
        pass


def test_a_turn_is_given_back_by_one_that_fails() -> None:
    turns = Turns(1, 1)
    with pytest.raises(ValueError, match="broken"), turns.take(call()):
        raise ValueError("broken")
    with turns.take(call(0.05)):
        pass
