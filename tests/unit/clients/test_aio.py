"""The asyncio twin has the same names and the same arguments, and cancels what it waits for."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from clients import AsyncRagq, Ragq
from clients.aindex import AsyncIndex, AsyncJob
from clients.aio import AsyncTuning
from clients.allm import AsyncLLM
from clients.athreads import Threads, iterate
from clients.errors import Cancelled, NotFound
from clients.index import IndexClient, Job
from clients.llm import LLMClient
from clients.tuning import TuningClient
from clients.waiter import waiting

TWINS = [(AsyncLLM, LLMClient), (AsyncIndex, IndexClient), (AsyncTuning, TuningClient)]


def names(cls: type) -> set[str]:
    return {name for name in dir(cls) if not name.startswith("_")}


def arguments(function: Any) -> list[tuple[str, Any, Any]]:
    """Name, kind and default of each argument, without the switch between whole and stream."""
    given = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default) for p in given if p.name != "stream"]


@pytest.mark.parametrize(("twin", "original"), TWINS, ids=lambda cls: cls.__name__)
def test_a_namespace_has_the_methods_of_its_twin(twin: type, original: type) -> None:
    streaming = {"stream"} if twin is AsyncLLM else set()
    assert names(twin) == names(original) | streaming


@pytest.mark.parametrize(
    ("twin", "original", "name"),
    [(twin, original, name) for twin, original in TWINS for name in sorted(names(original))],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_method_takes_what_its_twin_takes(twin: type, original: type, name: str) -> None:
    method = getattr(twin, name)
    assert arguments(method) == arguments(getattr(original, name))
    assert inspect.getdoc(method)
    assert inspect.iscoroutinefunction(method)


def test_a_job_has_what_its_twin_has() -> None:
    assert names(AsyncJob) - {"record"} == names(Job)
    assert all(inspect.iscoroutinefunction(getattr(AsyncJob, name)) for name in ("refresh", "wait", "cancel"))


def test_the_face_has_the_methods_of_its_twin() -> None:
    assert names(AsyncRagq) - {"ask_stream"} == names(Ragq) - {"index", "tuning"}  # an instance's own there
    for name in ("__init__", "client", "ask", "status"):
        assert arguments(getattr(AsyncRagq, name)) == arguments(getattr(Ragq, name))


async def test_a_result_and_an_error_come_through() -> None:
    threads = Threads()
    assert await threads.run(lambda: threading.current_thread().name.startswith("ragq async"))

    def fail() -> None:
        raise NotFound("no such thing")

    with pytest.raises(NotFound, match="no such thing"):
        await threads.run(fail)
    threads.close()


class Slow:
    """Waits as a call does: until it is answered or cancelled."""

    def __init__(self) -> None:
        self.has_begun, self.is_over, self.num = threading.Event(), threading.Event(), 0

    def wait(self) -> None:
        self.num += 1
        with waiting(self.is_over.set):
            self.has_begun.set()
            assert self.is_over.wait(10)
        raise Cancelled("as asked")


async def test_cancelling_a_task_cancels_what_its_thread_waits_for() -> None:
    threads, slow = Threads(), Slow()
    task = asyncio.create_task(threads.run(slow.wait))
    await asyncio.to_thread(slow.has_begun.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert slow.is_over.is_set()
    threads.close()


async def test_cancelling_a_task_between_two_calls_cancels_the_second() -> None:
    threads, slow, gate, done = Threads(), Slow(), threading.Event(), threading.Event()

    def two_calls() -> None:
        gate.wait(5)
        try:
            slow.wait()
        finally:
            done.set()

    task = asyncio.create_task(threads.run(two_calls))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    assert await asyncio.to_thread(done.wait, 5)
    assert slow.is_over.is_set()
    threads.close()


async def test_leaving_an_iteration_closes_what_it_iterates_over() -> None:
    closed: list[bool] = []

    def numbers() -> Iterator[int]:
        try:
            yield from range(10)
        finally:
            closed.append(True)

    threads, source = Threads(), numbers()
    events = iterate(threads, source, source.close)  # type: ignore[attr-defined]  # a generator
    async for number in events:
        if number == 3:
            break
    await events.aclose()  # type: ignore[attr-defined]  # a generator
    assert closed == [True]
    threads.close()


async def test_closing_does_not_wait_for_calls_under_way() -> None:
    threads, slow = Threads(), Slow()
    task = asyncio.create_task(threads.run(slow.wait))
    await asyncio.to_thread(slow.has_begun.wait, 5)
    began = time.monotonic()
    threads.close()
    assert time.monotonic() - began < 1
    slow.is_over.set()
    with pytest.raises(Cancelled):
        await task
