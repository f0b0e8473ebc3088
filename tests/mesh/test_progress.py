"""Embedding and reranking many texts over a live mesh: word of each part, and an end to the rest."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from clients import AsyncRagq
from clients.llm import Embeddings, Progress, Scores
from tests.conftest import LiveMesh

pytestmark = pytest.mark.mesh
TEXTS = [f"text {i} of many" for i in range(100)]


def test_embedding_tells_of_each_part_with_its_vectors(toy_mesh: LiveMesh) -> None:
    seen: list[Progress[Embeddings]] = []
    with toy_mesh.client() as mesh:
        vectors = mesh.llm.embed(TEXTS, on_progress=seen.append)
        np.testing.assert_array_equal(vectors, mesh.llm.embed(TEXTS))
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert seen[-1].done == seen[-1].total == len(TEXTS)
    assert sorted(i for p in seen for i in p.indices) == list(range(len(TEXTS)))
    for progress in seen:
        np.testing.assert_array_equal(progress.part.vectors, vectors[list(progress.indices)])


def test_reranking_more_documents_than_one_call_takes_is_one_order(toy_mesh: LiveMesh) -> None:
    documents = [f"text {i}" for i in range(600)]
    documents[555] = "wings give lift"
    seen: list[Progress[Scores]] = []
    with toy_mesh.client() as mesh:
        found = mesh.llm.rerank("wings give lift", documents, 3, on_progress=seen.append)
        assert found == mesh.llm.rerank("wings give lift", documents, 3)
        scores = mesh.llm.score("wings give lift", documents)
    assert found[0].index == 555
    assert int(np.argmax(scores.logits)) == 555
    assert seen[-1].done == 600
    best = next(p for p in seen if 555 in p.indices)
    assert best.part.scores[555 - best.indices.start] == found[0].score


def test_what_the_callback_raises_cancels_the_rest(toy_mesh: LiveMesh) -> None:
    seen: list[Progress[Embeddings]] = []

    def enough(progress: Progress[Embeddings]) -> None:
        seen.append(progress)
        raise KeyboardInterrupt

    with toy_mesh.client() as mesh:
        before = _num_calls(toy_mesh)
        with pytest.raises(KeyboardInterrupt):
            mesh.llm.embed([f"never {i} done" for i in range(1600)], on_progress=enough)
        assert len(seen) == 1
        assert _num_calls(toy_mesh) - before < 20
        assert mesh.llm.embed("after").shape[0] == 1


async def test_the_awaited_twin_awaits_the_callback_and_can_be_cancelled_in_it(toy_mesh: LiveMesh) -> None:
    seen: list[int] = []

    async def told(progress: Progress[Scores]) -> None:
        await asyncio.sleep(0)
        seen.append(progress.done)

    def stop(_: Progress[Embeddings]) -> None:
        task.cancel()

    async with AsyncRagq(toy_mesh.client().config) as mesh:
        found = await mesh.llm.rerank("text 7 of many", TEXTS, 1, on_progress=told)
        assert found[0].index == 7
        assert max(seen) == len(TEXTS)
        scores = await mesh.llm.score(["text 7 of many"] * len(TEXTS), TEXTS)
        assert scores.logits[7] == found[0].logit
        before = _num_calls(toy_mesh)
        task = asyncio.create_task(mesh.llm.embed([f"not {i} done" for i in range(1600)], on_progress=stop))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert _num_calls(toy_mesh) - before < 20


def _num_calls(live: LiveMesh) -> int:
    return next(s.num_calls for s in live.client().status().services if s.service == "llm")
