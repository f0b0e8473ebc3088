"""A program with asyncio uses the whole mesh without blocking its loop."""

from __future__ import annotations

import asyncio

import pytest

from clients import AsyncRagq
from tests.conftest import LiveMesh

pytestmark = pytest.mark.mesh


async def test_add_follow_search_and_ask_while_the_loop_goes_on(toy_mesh: LiveMesh) -> None:
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    heart = asyncio.create_task(beat())
    async with AsyncRagq(toy_mesh.client().config) as mesh:
        job = await mesh.index.add("async", texts=["The cafe is closed on Saturdays.", "Penguins eat fish."])
        records = [record async for record in job.follow(0.02)]
        assert (records[-1].status, job.progress) == ("succeeded", 1.0)
        hits, vectors = await asyncio.gather(mesh.index.search("async", "penguins", 1), mesh.llm.embed(["a", "b"]))
        assert hits[0].text == "Penguins eat fish."
        assert vectors.shape[0] == 2
        answer = await mesh.ask("async", "When is the cafe closed?")
        events = [event async for event in mesh.ask_stream("async", "When is the cafe closed?")]
        assert events[-1].text == answer.text
    heart.cancel()
    assert beats > 3
