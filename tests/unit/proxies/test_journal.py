"""Which lines a proxy writes, and how seldom."""

from __future__ import annotations

import logging

from clients.status import Latency, MethodStats, Outcome, ServiceStats, ServiceStatus, WorkerStatus
from proxies.journal import Journal

BOUNDS = [1.0, 30.0]
NONE = Latency([0, 0, 0])


def status(*workers: tuple[str, str], state: str = "ready") -> ServiceStatus:
    rows = [WorkerStatus(name, 7, "here", how, 8, 2) for name, how in workers]  # type: ignore[arg-type]
    return ServiceStatus("llm", state, rows, queued=1, running=2)  # type: ignore[arg-type]


def stats(requeued: int = 0, full: int = 0, failed: int = 0, slow: int = 0) -> ServiceStats:
    outcomes = [Outcome(0, "", 50), Outcome(14, "WORKER_LOST", failed)]
    method = MethodStats("llm.embed", outcomes, NONE, NONE, Latency([50, 0, slow]))
    return ServiceStats("llm", 1.0, BOUNDS, [method], requeued=requeued, refusals={"QUEUE_FULL": full})


def test_each_change_of_a_worker_is_one_line() -> None:
    journal, nothing = Journal(), stats()
    looks = ["ready", "ready", "suspect", "suspect", "ready", "stuck"]
    said = [journal.lines(status(("abc", how)), nothing, float(i)) for i, how in enumerate(looks)]
    assert [len(lines) for lines in said] == [1, 0, 1, 0, 1, 1]
    assert said[0][0].text == "worker abc, pid 7 at here, came; it takes 8 calls at a time"
    assert [lines[0].level for lines in said if lines] == [
        logging.INFO, logging.WARNING, logging.INFO, logging.ERROR,
    ]  # fmt: skip


def test_a_worker_that_leaves_is_no_loss() -> None:
    journal, nothing = Journal(), stats()
    journal.lines(status(("a", "draining"), ("b", "ready")), nothing, 0.0)
    left, lost = journal.lines(status(), nothing, 1.0)
    assert (left.level, left.text) == (logging.INFO, "worker a, pid 7 at here, left")
    assert (lost.level, lost.text) == (logging.WARNING, "worker b, pid 7 at here, is lost; it held 2 calls")


def test_a_worker_that_left_between_two_looks_is_no_loss() -> None:
    journal, nothing = Journal(), stats()
    journal.lines(status(("a", "ready"), ("b", "ready")), nothing, 0.0)
    said = journal.lines(status(), nothing, 1.0, left=["a"])
    assert [(line.level, line.text) for line in said] == [
        (logging.INFO, "worker a, pid 7 at here, left"),
        (logging.WARNING, "worker b, pid 7 at here, is lost; it held 2 calls"),
    ]


def test_an_idle_worker_that_goes_while_its_proxy_drains_was_sent_away() -> None:
    journal, nothing = Journal(), stats()
    idle = WorkerStatus("a", 7, "here", "ready", 8, 0)
    busy = WorkerStatus("b", 7, "here", "ready", 8, 1)
    journal.lines(ServiceStatus("llm", "draining", [idle, busy]), nothing, 0.0)
    said = journal.lines(ServiceStatus("llm", "draining"), nothing, 1.0)
    assert [line.text.rsplit(", ", 1)[-1] for line in said] == ["left", "is lost; it held 1 calls"]


def test_a_drain_is_told_once() -> None:
    journal = Journal()
    first, second = (journal.lines(status(state="draining"), stats(), float(i)) for i in range(2))
    assert ([line.text for line in first], second) == (["drains; 3 calls are under way"], [])


def test_what_happens_often_is_counted_and_told_every_ten_seconds() -> None:
    journal = Journal()
    told = [[line.text for line in journal.lines(status(), stats(full=i * 5), float(i))] for i in range(22)]
    assert {i: lines for i, lines in enumerate(told) if lines} == {
        1: ["refused, QUEUE_FULL: 5 calls"],
        11: ["refused, QUEUE_FULL: 50 calls"],
        21: ["refused, QUEUE_FULL: 50 calls"],
    }


def test_requeues_failures_and_slow_calls_have_lines() -> None:
    lines = Journal().lines(status(), stats(requeued=1, failed=2, slow=3), 0.0)
    assert [line.text for line in lines] == [
        "given to another worker: 1 call",
        "llm.embed failed, WORKER_LOST: 2 calls",
        "llm.embed took longer than 30 s: 3 calls",
    ]
