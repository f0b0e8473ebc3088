"""A thousand tasks of one asyncio program call at once, and many give up: each gets its own answer, none lingers."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from clients import AsyncRagq
from clients.settings import load
from tests.mesh.processes import Processes, processes, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]
TOY = {"name": "toy", "backend": "toy"}
NUM_TASKS = 1000


@pytest.fixture
def mesh(tmp_path: Path):  # type: ignore[no-untyped-def]
    with processes(tmp_path, "", "llm", embed=TOY, rerank=TOY, generate=TOY) as mesh:
        mesh.start_mesh(2)
        yield mesh


@pytest.fixture
async def ragq(mesh: Processes) -> AsyncIterator[AsyncRagq]:
    async with AsyncRagq(load(mesh.path, env={}).config) as ragq:
        yield ragq


def is_idle(mesh: Processes) -> bool:
    status = mesh.status()
    return status is not None and (status.running, status.queued) == (0, 0)


async def test_every_task_gets_the_answer_to_its_own_question(mesh: Processes, ragq: AsyncRagq) -> None:
    texts = [f"text number {i}" for i in range(NUM_TASKS)]
    together = await ragq.llm.embed(texts)
    vectors = await asyncio.gather(*(ragq.llm.embed([text]) for text in texts))
    assert np.allclose(np.concatenate(vectors), together)
    await asyncio.to_thread(until, lambda: is_idle(mesh))


async def test_tasks_that_give_up_at_any_moment_leave_nothing_behind(mesh: Processes, ragq: AsyncRagq) -> None:
    chance, ends = random.Random(1), Counter[str]()

    async def one(number: int) -> None:
        task = asyncio.create_task(ragq.llm.embed([f"text {number}"] * chance.choice((1, 20))))
        if number % 3:
            await asyncio.sleep(chance.random() * 0.5)
            task.cancel()
        try:
            assert (await task).shape[0] > 0
            ends["answered"] += 1
        except asyncio.CancelledError:
            ends["cancelled"] += 1

    await asyncio.gather(*(one(number) for number in range(NUM_TASKS)))
    assert ends.total() == NUM_TASKS
    assert ends["answered"] >= NUM_TASKS // 3
    await asyncio.to_thread(until, lambda: is_idle(mesh))
    assert (await ragq.llm.embed(["after"])).shape[0] == 1
