"""An answer goes on whoever watches, can be stopped, and is stored at its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator

import pytest

from clients import Events
from clients.answers import Answer, Decision, Delta, Event, Rewritten, Sources
from clients.errors import Busy, Internal, Unreachable
from clients.index import Turn
from clients.waiter import waiting
from ui.runs import MAX_KEPT, MAX_RUNNING, Runs

DECISION = Decision("answer", 0.9, 0.5, "it is there")
ANSWER = Answer("It is 42. [1]", "extractive", [], DECISION, "why?", "why?")
WAIT_S = 5.0


class Shelf:
    """Where finished turns go; fails while ``error`` is set."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.error: Unreachable | None = None

    def save(self, turn: Turn) -> None:
        if self.error:
            raise self.error
        self.turns.append(turn)


class Tap:
    """Events that come when the test lets them; knows whether it was closed."""

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.closed = threading.Event()
        self.cancelled = threading.Event()

    def events(self) -> Events:
        return Events(self._events())

    def _events(self) -> Generator[Event, None, None]:
        try:
            with waiting(self.cancelled.set):
                yield from self._words()
        finally:
            self.closed.set()

    def _words(self) -> Generator[Event, None, None]:
        for word in ("one ", "two ", "three "):
            self.go.acquire(timeout=WAIT_S)
            yield Delta(word)
        yield ANSWER


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def runs(shelf: Shelf) -> Runs:
    return Runs(shelf.save, clock=lambda: 1000.0)


def whole() -> Events:
    return Events(_whole())


def _whole() -> Generator[Event, None, None]:
    yield Rewritten("why is it so?")
    yield Sources([])
    yield DECISION
    yield Delta("It is ")
    yield Delta("42. [1]")
    yield ANSWER


def failing(error: Exception) -> Callable[[], Events]:
    def events() -> Generator[Event, None, None]:
        yield Delta("It ")
        raise error

    return lambda: Events(events())


def test_a_finished_answer_is_stored_once(runs: Runs, shelf: Shelf) -> None:
    run = runs.start("c1", "why?", "handbook", whole)
    assert run.wait(WAIT_S)
    (turn,) = shelf.turns
    assert (turn.chat_id, turn.question, turn.answer, turn.collection, turn.created_at) == (
        "c1", "why?", "It is 42. [1]", "handbook", 1000.0,
    )  # fmt: skip
    assert run.exchange.answer == ANSWER
    assert run.error is None


def test_a_page_that_comes_late_reads_from_the_beginning(runs: Runs) -> None:
    tap = Tap()
    run = runs.start("c1", "why?", "handbook", tap.events)
    tap.go.release()
    assert run.events(0, WAIT_S) == [Delta("one ")]
    tap.go.release()
    assert run.events(1, WAIT_S) == [Delta("two ")]
    again = runs.of("c1")
    assert again is run
    assert again.events() == [Delta("one "), Delta("two ")]
    assert again.exchange.text == "one two "
    tap.go.release()
    assert run.wait(WAIT_S)
    assert run.num_events == 4


def test_stop_keeps_what_was_said_and_cancels_the_call(runs: Runs, shelf: Shelf) -> None:
    tap = Tap()
    run = runs.start("c1", "why?", "handbook", tap.events)
    tap.go.release()
    run.events(0, WAIT_S)
    runs.stop("c1")
    assert tap.cancelled.is_set()
    assert run.is_over
    assert run.is_closed
    (turn,) = shelf.turns
    assert (turn.answer, turn.detail["is_stopped"]) == ("one ", True)
    tap.go.release()
    assert tap.closed.wait(WAIT_S)
    assert run.exchange.text == "one "
    assert len(shelf.turns) == 1


def test_a_stop_that_comes_too_late_changes_nothing(runs: Runs, shelf: Shelf) -> None:
    run = runs.start("c1", "why?", "handbook", whole)
    assert run.wait(WAIT_S)
    runs.stop("c1")
    runs.stop("nobody")
    assert not run.exchange.is_stopped
    assert len(shelf.turns) == 1


def test_a_failure_ends_the_run_and_is_not_stored(runs: Runs, shelf: Shelf) -> None:
    run = runs.start("c1", "why?", "handbook", failing(Unreachable("nobody answers")))
    assert run.wait(WAIT_S)
    assert isinstance(run.error, Unreachable)
    assert run.has_failed
    assert shelf.turns == []
    assert runs.start("c1", "why?", "handbook", whole).wait(WAIT_S)
    assert len(shelf.turns) == 1


def test_a_call_that_cannot_begin_fails_the_run(runs: Runs) -> None:
    def refused() -> Events:
        raise Unreachable("nobody answers")

    run = runs.start("c1", "why?", "handbook", refused)
    assert run.wait(WAIT_S)
    assert isinstance(run.error, Unreachable)


def test_a_defect_ends_the_run_too(runs: Runs, caplog: pytest.LogCaptureFixture) -> None:
    run = runs.start("c1", "why?", "handbook", failing(ZeroDivisionError("half a word")))
    assert run.wait(WAIT_S)
    assert isinstance(run.error, Internal)
    assert "half a word" in run.error.message
    assert "ZeroDivisionError" in caplog.text


def test_an_answer_that_cannot_be_stored_can_be_stored_later(runs: Runs, shelf: Shelf) -> None:
    shelf.error = Unreachable("the index is away")
    run = runs.start("c1", "why?", "handbook", whole)
    assert run.wait(WAIT_S)
    assert run.save_error is shelf.error
    assert run.has_failed
    shelf.error = None
    runs.keep(run)
    assert run.save_error is None
    assert not run.has_failed
    assert len(shelf.turns) == 1


def test_one_chat_waits_for_one_answer(runs: Runs) -> None:
    tap = Tap()
    run = runs.start("c1", "why?", "handbook", tap.events)
    with pytest.raises(Busy, match="still being answered"):
        runs.start("c1", "and?", "handbook", whole)
    assert runs.start("c2", "and?", "handbook", whole).wait(WAIT_S)
    runs.stop("c1")
    assert runs.start("c1", "and?", "handbook", whole).wait(WAIT_S)
    tap.go.release(3)
    assert run.question == "why?"


def test_too_many_questions_at_once_are_refused(runs: Runs) -> None:
    taps = [Tap() for _ in range(MAX_RUNNING)]
    for i, tap in enumerate(taps):
        runs.start(f"c{i}", "why?", "handbook", tap.events)
    with pytest.raises(Busy, match="at this moment"):
        runs.start("one more", "why?", "handbook", whole)
    for i, tap in enumerate(taps):
        runs.stop(f"c{i}")
        tap.go.release(3)
    assert runs.start("one more", "why?", "handbook", whole).wait(WAIT_S)


def test_a_run_that_is_over_can_be_forgotten(runs: Runs) -> None:
    tap = Tap()
    runs.start("c1", "why?", "handbook", tap.events)
    runs.forget("c1")
    assert runs.of("c1") is not None
    runs.stop("c1")
    runs.forget("c1")
    assert runs.of("c1") is None
    tap.go.release(3)


def test_old_runs_do_not_pile_up(runs: Runs) -> None:
    for i in range(MAX_KEPT + 20):
        assert runs.start(f"c{i}", "why?", "handbook", whole).wait(WAIT_S)
    assert runs.of("c0") is None
    assert runs.of(f"c{MAX_KEPT + 19}") is not None
