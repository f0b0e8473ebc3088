"""Is nothing lost when the service dies, at whatever moment?"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients import index as contract
from clients.config import Config
from clients.errors import Unreachable
from clients.index import Text

from .conftest import Desk, InProcess

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[3]
TEXTS = [Text(f"note {i}", f"Note number {i} is about topic{i}. It says word{i} twice: word{i}.") for i in range(120)]
BOOK = Text("book", "".join(f"Sentence {i} of the book tells about thing{i}. " for i in range(600)))
COMMAND = """
import sys, time
from pathlib import Path
from clients import index as contract
from clients.config import Index
from services.llm.service import LLMService
from clients.config import Config
from tests.unit.index.conftest import TOY, Desk, InProcess
from tests.unit.index.test_restart import BOOK, TEXTS
from clients.index import Chunking
llm = LLMService(Config(llm=TOY))
llm.start()
mesh = InProcess(llm)
mesh.before = lambda method, request: time.sleep(0.01)
desk = Desk(Path(sys.argv[1]), mesh, Index(store=sys.argv[2], sample=False))
job = desk.add(BOOK, *TEXTS, chunking=Chunking(64, 0))
print(job.id, flush=True)
desk.wait(job, 50)
print("done", flush=True)
time.sleep(30)
"""


def killed(home: Path, store: str, after_s: float) -> str:
    """Ingest in a process of its own and kill it that long after the job was taken; the job's id."""
    child = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(home), store], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    job_id = child.stdout.readline().strip()
    assert job_id
    time.sleep(after_s)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    return job_id


def check_whole(desk: Desk) -> None:
    """The stores hold exactly the chunks of the ready documents."""
    parts = desk.service._parts
    for shelf in parts.catalog.shelves():
        wanted = parts.catalog.documents.entries.wanted(shelf.id)
        assert parts.store.ids(shelf.store_key) == wanted
        assert parts.keywords.of(shelf.key).ids() == wanted


def test_a_killed_ingest_is_finished_by_the_next_process(open_desk: Callable[..., Desk], tmp_path: Path) -> None:
    job_id = killed(tmp_path / "home", "memory", 0.15)
    desk = open_desk()
    job = desk.wait(desk.job(job_id))
    assert (job.status, job.num_done) == ("succeeded", 121)
    check_whole(desk)
    assert desk.search("word77", "keyword").hits[0].document == "note 77"
    assert desk.search("thing599", "keyword").hits[0].document == "book"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(8))
def test_kills_at_random_moments_lose_nothing(open_desk: Callable[..., Desk], tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(3):
        killed(tmp_path / "home", "chroma", dice.uniform(0.0, 1.5))
    desk = open_desk(store="chroma")
    for job in desk.call(contract.JOBS).jobs:
        assert desk.wait(job, 60).status == "succeeded"
    assert {d.status for d in desk.documents(limit=1000).documents} == {"ready"}
    assert desk.documents().total == 121
    check_whole(desk)


def test_stores_are_written_anew_from_the_records(open_desk: Callable[..., Desk], tmp_path: Path) -> None:
    import shutil

    desk = open_desk(store="chroma")
    desk.add_and_wait(*TEXTS[:20])
    desk.close()
    shutil.rmtree(tmp_path / "home" / "chroma")
    for file in (tmp_path / "home" / "index" / "keyword" / "collection-000001").glob("meta.json"):
        file.write_text("{ damaged")
    desk = open_desk(store="chroma")
    check_whole(desk)
    assert desk.search("word7", "keyword").hits[0].document == "note 7"
    assert desk.search("word7", "dense").hits[0].document == "note 7"


def test_faiss_files_that_are_gone_or_damaged_are_written_anew(open_desk: Callable[..., Desk], tmp_path: Path) -> None:
    pytest.importorskip("faiss", reason="pip install 'ragq[faiss]'")
    desk = open_desk(store="faiss")
    desk.add_and_wait(*TEXTS[:20])
    desk.close()
    (file,) = (tmp_path / "home" / "faiss").glob("*.faiss")
    file.write_bytes(b"junk")
    desk = open_desk(store="faiss")
    check_whole(desk)
    assert desk.search("word7", "dense").hits[0].document == "note 7"
    desk.close()
    file.unlink()
    desk = open_desk(store="faiss")
    check_whole(desk)


@pytest.mark.parametrize("ending", ["*.idx", "*.store", "*.term", "*.fieldnorm"])
def test_a_damaged_keyword_index_is_made_anew(open_desk: Callable[..., Desk], tmp_path: Path, ending: str) -> None:
    desk = open_desk()
    desk.add_and_wait(*TEXTS[:20])
    desk.close()
    files = list((tmp_path / "home" / "index" / "keyword" / "collection-000001").glob(ending))
    assert files
    for file in files:
        file.write_bytes(b"junk")
    desk = open_desk()
    check_whole(desk)
    assert desk.search("word7", "keyword").hits[0].document == "note 7"


def test_what_was_deleted_before_a_crash_stays_deleted(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(store="chroma")
    desk.add_and_wait(*TEXTS[:5])
    # The process dies between the records and the stores.
    desk.service._parts.catalog.documents.delete(desk.documents(keyword="note 3").documents[0].id)
    assert desk.service._parts.store.count("collection-000001") == 5
    assert all(hit.document != "note 3" for hit in desk.search("word3").hits)
    desk.close()
    desk = open_desk(store="chroma")
    assert desk.service._parts.store.count("collection-000001") == 4
    check_whole(desk)


def test_a_collection_deleted_before_a_crash_stays_deleted(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(store="chroma")
    desk.add_and_wait(*TEXTS[:5])
    desk.service._parts.catalog.delete("papers")
    desk.close()
    desk = open_desk(store="chroma")
    assert desk.service._parts.store.count("collection-000001") == 0
    assert desk.add_and_wait(*TEXTS[:5]).num_done == 5
    check_whole(desk)


@pytest.mark.parametrize("status", ["queued", "parsing", "chunking", "embedding"])
def test_a_document_left_at_any_stage_is_taken_up(open_desk: Callable[..., Desk], mesh: InProcess, status: str) -> None:
    def away(method: Any, _request: Any) -> None:
        if method.name == "llm.embed":
            raise Unreachable("nobody answers")

    desk = open_desk()
    mesh.before = away
    job = desk.add(TEXTS[0])
    desk.until(lambda: desk.documents().documents[0].status == "embedding")
    desk.close()
    parts_database = Config(data_dir=str(desk.home)).home / "index" / "records.sqlite"
    import sqlite3

    with sqlite3.connect(parts_database) as connection:
        connection.execute("UPDATE documents SET status = ?", (status,))
    connection.close()
    mesh.before = lambda method, request: None
    desk = open_desk()
    assert desk.wait(desk.job(job.id)).num_done == 1
    check_whole(desk)


def test_a_document_that_no_job_remembers_is_queued_again(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk()
    desk.add_and_wait(TEXTS[0])
    with desk.service._parts.database.write() as tx:
        tx.execute("UPDATE documents SET status = 'chunking'")
    desk.close()
    desk = open_desk()
    desk.wait(desk.call(contract.JOBS).jobs[0])
    assert desk.documents().documents[0].status == "ready"
    check_whole(desk)
