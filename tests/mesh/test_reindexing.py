"""A collection gets another embedding model while people search it, over the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from clients import AsyncRagq, Ragq
from clients.errors import NotFound
from clients.index import Chunking
from clients.settings import load
from tests.conftest import TOY, LiveMesh, merged, start_mesh

from .asking import Asker, notes
from .processes import until

pytestmark = [pytest.mark.mesh, pytest.mark.timeout(180)]
NOTES = notes(1500)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveMesh]:
    with started(tmp_path_factory.mktemp("alone"), {"index": {"store": "chroma"}}) as mesh:
        yield mesh


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveMesh]:
    """Three index workers of which one leads, over a server of vectors, and two workers with models."""
    index = {"store": "chroma-server", "num_workers": 3}
    with started(tmp_path_factory.mktemp("shared"), {"index": index, "llm": {"num_workers": 2}}) as mesh:
        client = mesh.client().client("index")
        until(lambda: len(client.status().workers) == 3, 60)
        yield mesh


@contextmanager
def started(directory: Path, settings: dict[str, Any]) -> Iterator[LiveMesh]:
    mesh = start_mesh(directory, merged(TOY, settings))
    try:
        mesh.wait_ready()
        yield mesh
    finally:
        mesh.stop()


@pytest.fixture(scope="module")
def mesh(live: LiveMesh) -> Ragq:
    return live.client(timeout_s=60.0)


def test_no_search_is_wrong_or_empty_while_the_model_changes(live: LiveMesh) -> None:
    changes(live)


def test_no_search_of_several_workers_is_wrong_or_empty_while_the_model_changes(shared: LiveMesh) -> None:
    changes(shared)


def changes(live: LiveMesh) -> None:
    """There and back again, under searches, while documents come in."""
    mesh = live.client(timeout_s=60.0)
    mesh.index.add("notes", texts=NOTES[:1400], chunking=Chunking(by_line=True)).wait(120)
    askers = [Asker(live.client(timeout_s=60.0), "notes", [note.text for note in NOTES[n:1400:50]]) for n in range(3)]
    with ExitStack() as all_the_time:
        for asker in askers:
            all_the_time.enter_context(asker.asking())
        job = mesh.index.reindex("notes", "toy-1024")
        added = mesh.index.add("notes", texts=NOTES[1400:], chunking=Chunking(by_line=True))
        assert job.wait(120).status == "succeeded"
        assert added.wait(60).num_done == 100
        until(lambda: all(asker.num_changes == 1 for asker in askers))
        assert mesh.index.reindex("notes").wait(120).status == "succeeded"
        until(lambda: all(asker.num_changes == 2 for asker in askers))
    for asker in askers:
        assert asker.wrong == []
        assert asker.num_refused == 0
        assert (asker.num_changes, asker.models[0]) == (2, "toy"), "one model before and another one after"
    (collection,) = (c for c in mesh.index.collections() if c.name == "notes")
    assert (collection.model, collection.dimension, collection.num_chunks) == ("toy", 256, 1500)
    assert mesh.index.search("notes", NOTES[1450].text, 1, "dense", rerank=False)[0].text == NOTES[1450].text
    assert mesh.index.check("notes", probe=True).findings == []


def test_the_command_line_does_it_and_says_what_it_did(live: LiveMesh, mesh: Ragq, tmp_path: Path) -> None:
    mesh.index.add("few", texts=NOTES[:20]).wait(60)
    done = live.run("reindex", "few", "--model", "toy-32")
    assert (done.returncode, done.stdout.rpartition(",")[0]) == (0, "few: re-indexed, 20 chunks by toy-32")
    record = json.loads(live.run("reindex", "few", "--json").stdout)
    assert (record["status"], record["model"], record["num_chunks"]) == ("succeeded", "toy", 20)
    queued = live.run("reindex", "few", "--model", "toy-32", "--no-wait")
    assert mesh.index.job(queued.stdout.strip()).wait(60).status == "succeeded"
    assert live.run("add", "--follow", queued.stdout.strip()).stdout.startswith(
        "few: re-indexed, 20 chunks by toy-32, "
    )
    refused = live.run("reindex", "few", "--model", "nowhere")
    assert refused.returncode == 1
    assert "no model 'nowhere' is on this machine" in refused.stderr


def test_the_asyncio_twin_does_it_too(live: LiveMesh, mesh: Ragq) -> None:
    mesh.index.add("twin", texts=NOTES[:20]).wait(60)

    async def change() -> str:
        async with AsyncRagq(load(live.config, env={}).config) as twin:
            job = await twin.index.reindex("twin", "toy-1024")
            assert (await job.wait(60)).status == "succeeded"
            with pytest.raises(NotFound):
                await twin.index.reindex("nothing")
            return (await twin.index.find("twin", NOTES[3].text)).model

    assert asyncio.run(change()) == "toy-1024"
