"""Processes that take part in a re-index are killed at each stage: searches stay right, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from clients import Ragq, RagqError
from clients.index import FINISHED, Chunking, JobRecord
from tests.chaos.killing import WAIT_S, kill, until
from tests.conftest import TOY, LiveMesh, merged, start_mesh
from tests.mesh.asking import Asker, notes

pytestmark = [pytest.mark.chaos, pytest.mark.mesh, pytest.mark.timeout(240)]
NOTES = notes(1200)
OLD, NEW = "toy", "toy-512"
# Each stage with every process that works on it; what comes after the swap is the clearing away.
KILLS = [
    ("embedding anew", "index"),
    ("embedding anew", "llm"),
    ("embedding anew", "proxy of index"),
    ("storing", "index"),
    ("clearing away", "index"),
]


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[LiveMesh]:
    """A fresh one: a launcher waits longer each time before it starts a process that was killed again."""
    live = start_mesh(tmp_path, merged(TOY, {"index": {"store": "chroma"}}))
    try:
        live.wait_ready()
        live.client().index.add("notes", texts=NOTES, chunking=Chunking(by_line=True)).wait(WAIT_S)
        yield live
    finally:
        live.stop()


def test_another_worker_finishes_the_reindex_of_a_leader_that_is_killed(tmp_path: Path) -> None:
    live = start_mesh(tmp_path, merged(TOY, {"index": {"store": "chroma-server", "num_workers": 2}}))
    try:
        live.wait_ready()
        client = live.client()
        client.index.add("notes", texts=NOTES, chunking=Chunking(by_line=True)).wait(WAIT_S)
        asker = Asker(live.client(), "notes", [note.text for note in NOTES[::50]])
        with asker.asking():
            job = client.index.reindex("notes", NEW)
            until(job, stands_at("embedding anew"))
            assert job.record.status not in FINISHED, "the kill came too late"
            (leader,) = (w for w in client.client("index").status().workers if w.note.startswith("leads"))
            os.kill(leader.pid, signal.SIGKILL)
            until(job, lambda record: record.status in FINISHED)
            assert job.record.status == "succeeded"
            assert everything_agrees(client)
        assert asker.wrong == []
        assert (asker.models[0], asker.models[-1], asker.num_changes) == (OLD, NEW, 1)
    finally:
        live.stop()


def stands_at(stage: str) -> Callable[[JobRecord], bool]:
    """Whether a job has come to a stage, or past it."""
    return lambda record: (
        record.status in FINISHED or (record.stage == stage and (stage != "embedding anew" or record.bytes_done > 0))
    )


def left(home: Path) -> tuple[list[tuple[int, ...]], list[str]]:
    """Generations on record by what names them, and the collections of the vector store."""
    with closing(sqlite3.connect(f"file:{home}/index/records.sqlite?mode=ro", uri=True)) as records:
        held = records.execute(
            """SELECT DISTINCT generation FROM vectors UNION SELECT generation FROM collections
            UNION SELECT generation FROM shadows UNION SELECT generation FROM stale_generations"""
        ).fetchall()
    with closing(sqlite3.connect(f"file:{home}/chroma/chroma.sqlite3?mode=ro", uri=True)) as store:
        names = [row[0] for row in store.execute("SELECT name FROM collections")]
    return held, names


def is_clear(home: Path, generation: int) -> bool:
    """Whether nothing is there but one generation, before long."""
    deadline = time.monotonic() + WAIT_S
    key = f"collection-000001-{generation:06d}" if generation else "collection-000001"
    while left(home) != ([(generation,)], [key]):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def everything_agrees(client: Ragq) -> bool:
    """Nothing is amiss; asked again while the service is still being started."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            return client.index.check("notes", probe=True).findings == []
        except RagqError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.mark.parametrize(("stage", "whom"), KILLS, ids=lambda value: value.replace(" ", "-"))
def test_a_kill_leaves_a_reindex_to_be_finished_and_no_search_wrong(mesh: LiveMesh, stage: str, whom: str) -> None:
    client = mesh.client()
    asker = Asker(mesh.client(), "notes", [note.text for note in NOTES[::50]])
    with asker.asking():
        job = client.index.reindex("notes", NEW)
        until(job, stands_at(stage))
        assert stage != "embedding anew" or job.record.status not in FINISHED, "the kill came too late"
        kill(client, whom)
        until(job, lambda record: record.status in FINISHED)
        assert job.record.status == "succeeded"
        assert everything_agrees(client)
        assert is_clear(mesh.home, 1)
    assert asker.wrong == []
    assert (asker.models[0], asker.models[-1], asker.num_changes) == (OLD, NEW, 1)


def test_a_kill_after_a_cancelled_reindex_leaves_nothing_of_it(mesh: LiveMesh) -> None:
    client = mesh.client()
    asker = Asker(mesh.client(), "notes", [note.text for note in NOTES[::50]])
    with asker.asking():
        job = client.index.reindex("notes", NEW)
        until(job, stands_at("embedding anew"))
        assert job.cancel().status == "cancelled"
        kill(client, "index")
        assert everything_agrees(client)
        assert is_clear(mesh.home, 0)
    assert asker.wrong == []
    assert set(asker.models) == {OLD}
