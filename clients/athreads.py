"""How do coroutines call what blocks: in a thread of a pool, cancelled with their task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial, update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from .waiter import Waiter, waiter

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F")
MAX_CALLS = 64


class Threads:
    """Runs blocking calls for coroutines."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(MAX_CALLS, thread_name_prefix="ragq async")

    async def run(self, function: Callable[[], T]) -> T:
        """What a function returns; cancelling the task cancels what it waits for."""
        ours = Waiter()
        context = copy_context()
        context.run(waiter.set, ours)
        work = asyncio.get_running_loop().run_in_executor(self._pool, context.run, function)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            ours.cancel()
            work.cancel()  # it may not have begun
            raise

    def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Face(Generic[F]):
    """What a client's twin is made of."""

    def __init__(self, threads: Threads, face: F) -> None:
        self._threads, self._face = threads, face


def twin(method: Callable[Concatenate[F, P], T]) -> Callable[Concatenate[Face[F], P], Coroutine[Any, Any, T]]:
    """A method that is awaited, and else as its twin."""

    async def call(self: Face[F], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._threads.run(partial(method, self._face, *args, **kwargs))

    update_wrapper(call, method)
    return call


_END: Any = object()


async def iterate(threads: Threads, items: Iterator[T], close: Callable[[], None]) -> AsyncIterator[T]:
    """Items of an iterator that blocks; leaving the loop closes it."""
    try:
        while (item := await threads.run(lambda: next(items, _END))) is not _END:
            yield item
    finally:
        with suppress(ValueError):  # a generator that a thread is still in: its wait was cancelled, it ends by itself
            close()
