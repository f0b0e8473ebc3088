"""How a program that makes calls is told what to do, and says how it went; needs nothing but Python.

A line of JSON comes in, ``{"case": "echo 100 B", "seconds": 0.2}``, and a line goes out.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

Case = Callable[[float], dict[str, float]]
IN_FLIGHT = 64


def obey(cases: Mapping[str, Case]) -> None:
    """Say which cases there are, then run what each line asks for until there are no more lines."""
    print(json.dumps(list(cases)), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(cases[order["case"]](order["seconds"])), flush=True)


def one_by_one(call: Callable[[], object]) -> Case:
    """One call in flight; one call at least."""

    def run(seconds: float) -> dict[str, float]:
        count, slowest = 0, 0.0
        began = now = time.perf_counter()
        while not count or now < began + seconds:
            call()
            last, now = now, time.perf_counter()
            slowest = max(slowest, now - last)
            count += 1
        return {"calls": count, "seconds": now - began, "slowest_s": slowest}

    return run


def in_threads(call: Callable[[], object], pool: ThreadPoolExecutor) -> Case:
    """As many calls in flight as there are threads."""

    def until(end: float) -> int:
        count = 0
        while time.perf_counter() < end:
            call()
            count += 1
        return count

    def run(seconds: float) -> dict[str, float]:
        began = time.perf_counter()
        count = sum(pool.map(until, [began + seconds] * IN_FLIGHT))
        return {"calls": count, "seconds": time.perf_counter() - began}

    return run


def in_tasks(call: Callable[[], Awaitable[object]], loop: asyncio.AbstractEventLoop) -> Case:
    """Many calls in flight from one loop."""

    async def until(end: float) -> int:
        count = 0
        while time.perf_counter() < end:
            await call()
            count += 1
        return count

    async def all_until(end: float) -> int:
        return sum(await asyncio.gather(*(until(end) for _ in range(IN_FLIGHT))))

    def run(seconds: float) -> dict[str, float]:
        began = time.perf_counter()
        count = loop.run_until_complete(all_until(began + seconds))
        return {"calls": count, "seconds": time.perf_counter() - began}

    return run
