"""Each process that takes part in adding documents is killed at each stage: nothing is half there, nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients import Ragq, RagqError
from clients.errors import NotFound
from clients.index import FINISHED, Chunking
from tests.chaos.killing import WAIT_S, kill, until
from tests.conftest import TOY, LiveMesh, merged, start_mesh

pytestmark = [pytest.mark.chaos, pytest.mark.mesh, pytest.mark.timeout(240)]
NUM_FILES = 120
# Each stage with every process that works on it, or between the two that do.
KILLS = [
    ("reading files", "index"),
    ("parsing", "index"),
    ("embedding", "index"),
    ("embedding", "llm"),
    ("embedding", "proxy of index"),
    ("embedding", "proxy of llm"),
    ("storing", "index"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of which each becomes several chunks; some chunks are the same in all of them."""
    root = tmp_path_factory.mktemp("files")
    for number in range(NUM_FILES):
        sentences = (f"File {number} tells of subject {number * 7 + i} in sentence {i}." for i in range(12))
        (root / f"{number:03}.txt").write_text("\n\n".join([*sentences, "All rights reserved, as in every file."]))
    return root


@pytest.fixture(scope="module")
def mesh(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveMesh]:
    yield from started(folder, tmp_path_factory.mktemp("killed"))


@pytest.fixture
def fresh_mesh(folder: Path, tmp_path: Path) -> Iterator[LiveMesh]:
    """One whose launcher has not learnt to wait before it starts a process that was killed again and again."""
    yield from started(folder, tmp_path)


def started(folder: Path, directory: Path) -> Iterator[LiveMesh]:
    live = start_mesh(directory, merged(TOY, {"index": {"store": "chroma", "roots": [str(folder)]}}))
    try:
        live.wait_ready()
        yield live
    finally:
        live.stop()


@pytest.mark.parametrize(("stage", "whom"), KILLS, ids=lambda value: value.replace(" ", "-"))
def test_a_kill_leaves_no_document_half(mesh: LiveMesh, folder: Path, stage: str, whom: str) -> None:
    client = mesh.client()
    name = f"{stage}-{whom}".replace(" ", "-")
    job = client.index.add(name, paths=[folder], chunking=Chunking(70, 0))
    until(job, lambda record: record.stage.startswith(stage) or record.status in FINISHED)
    assert job.record.status not in FINISHED, "the kill came too late"
    kill(client, whom)
    until(job, lambda record: record.status in FINISHED)
    assert (job.record.status, job.record.num_failed) == ("succeeded", 0)
    documents = client.index.documents(name, limit=1000).documents
    assert len(documents) == NUM_FILES
    assert {(document.status, document.num_chunks) for document in documents} == {("ready", 13)}
    assert client.index.check(name, probe=True).findings == []
    for document in documents[::30]:
        assert client.index.search(name, f"file {document.name[:3]} tells", 1, "keyword", rerank=False)


def test_what_is_deleted_while_the_index_is_killed_leaves_nothing_behind(fresh_mesh: LiveMesh, folder: Path) -> None:
    client = fresh_mesh.client()
    client.index.add("deleted", paths=[folder], chunking=Chunking(70, 0)).wait(WAIT_S)
    documents = client.index.documents("deleted", limit=1000).documents
    for number, document in enumerate(documents):
        if number in (20, 70):
            kill(client, "index")
        deadline = time.monotonic() + WAIT_S
        while not _deleted(client, document.id):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert client.index.documents("deleted").total == 0
    assert client.index.check("deleted", probe=True).findings == []
    assert client.index.search("deleted", "all rights reserved", mode="keyword") == []


def _deleted(client: Ragq, document_id: str) -> bool:
    """Delete it; an earlier try that lost its worker may have done so."""
    try:
        client.index.delete_document(document_id)
    except NotFound:
        return True
    except RagqError:
        return False
    return True
