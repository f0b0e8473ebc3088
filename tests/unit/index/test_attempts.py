"""A document that kills whoever touches it fails with a reason; it takes no other with it, and the service goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clients import index as contract
from clients.index import Text
from services.index import schema
from services.index.attempts import MAX_TRIES, TOGETHER
from services.index.documents import Work
from services.index.migrations import MIGRATIONS, TRIED
from services.index.preparing import Preparer
from services.index.publishing import Publisher
from services.index.schema import Database
from tests.conftest import ROOT
from tests.unit.index.conftest import Desk

POISON = "this text is poison"
WORKER = """
import os, signal, sys
from pathlib import Path
from clients.config import Config, Index
from clients.index import Text
from services.index import preparing, publishing
from services.llm.service import LLMService
from tests.unit.index.conftest import TOY, Desk, InProcess

home, stage, poison, num_texts = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
chunk, distinct = preparing.chunk, publishing.distinct

def deadly_chunk(loaded, chunking):
    if stage == "parsing" and poison in loaded.text:
        os.kill(os.getpid(), signal.SIGKILL)
    return chunk(loaded, chunking)

def deadly_distinct(chunks):
    if stage == "storing" and any(poison in each.text for each in chunks):
        os.kill(os.getpid(), signal.SIGKILL)
    return distinct(chunks)

preparing.chunk, publishing.distinct = deadly_chunk, deadly_distinct
llm = LLMService(Config(llm=TOY))
llm.start()
desk = Desk(home, InProcess(llm), Index(store="memory", sample=False))
if not desk.service._catalog.collections():
    texts = [Text(f"{n}.txt", f"text {n}") for n in range(num_texts)]
    desk.add(*texts, Text("poison.txt", poison), Text("last.txt", "the last"))
for job in desk.service._catalog.jobs.newest():
    desk.wait(job)
desk.close()
"""


@pytest.mark.process
@pytest.mark.timeout(120)
@pytest.mark.parametrize("stage", ["parsing", "storing"])
def test_a_document_that_kills_the_service_each_time_fails_and_the_others_are_ready(
    tmp_path: Path, open_desk: Callable[..., Desk], stage: str
) -> None:
    codes = [_run(tmp_path / "home", stage) for _ in range(MAX_TRIES + 1)]
    assert codes == [-signal.SIGKILL] * MAX_TRIES + [0]
    desk = open_desk()
    documents = {document.name: document for document in desk.documents().documents}
    poison = documents.pop("poison.txt")
    assert poison.status == "failed"
    assert poison.reason == "the service ended 3 times while it worked on this document"
    assert "ragq logs index" in poison.fix
    assert {document.status for document in documents.values()} == {"ready"}
    assert desk.wait(desk.call(contract.RETRY_DOCUMENT, contract.DocumentId(poison.id))).status == "succeeded"


@pytest.mark.process
@pytest.mark.timeout(120)
@pytest.mark.parametrize("stage", ["parsing", "storing"])
def test_a_death_among_hundreds_of_documents_costs_some_commits_and_not_one_for_each_of_them(
    tmp_path: Path, open_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    assert _run(tmp_path / "home", stage, 250) == -signal.SIGKILL
    groups = _groups_at(monkeypatch, stage)
    desk = open_desk()
    suspects = desk.service._parts.database.read().execute("SELECT count(*) FROM attempts").fetchone()[0]
    for job in desk.service._catalog.jobs.newest():
        assert desk.wait(job).num_done == 252
    assert suspects > 40
    assert len(groups) <= suspects / TOGETHER[1] + 8


def _groups_at(monkeypatch: pytest.MonkeyPatch, stage: str) -> list[int]:
    """Sizes of the groups that a stage is given from now on."""
    owner, name, argument = (Preparer, "prepare", 1) if stage == "parsing" else (Publisher, "publish", 2)
    method = getattr(owner, name)
    groups: list[int] = []

    def noted(*arguments: Any) -> Any:
        groups.append(len(arguments[argument]))
        return method(*arguments)

    monkeypatch.setattr(owner, name, noted)
    return groups


def test_a_document_that_two_processes_died_with_comes_alone(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk()
    (id_,) = _ids(desk)
    desk.close()
    desk = open_desk()
    assert (TOGETHER[0], TOGETHER[MAX_TRIES - 1]) == (None, 1)
    with desk.service._parts.database.write() as tx:
        tx.execute("INSERT OR REPLACE INTO attempts VALUES (?, 2)", (id_,))
    work = _queued(desk, id_)
    others = [replace(work, id=f"{n}") for n in range(3)]
    assert desk.service._parts.ingest._apart([work, *others]) == others
    assert desk.service._parts.ingest._apart([work]) == [work]
    desk.service._catalog.attempts.pardon(id_)
    assert desk.service._parts.ingest._apart([work, *others]) == [work, *others]


def _queued(desk: Desk, id_: str) -> Work:
    with desk.service._parts.database.write() as tx:
        desk.service._catalog.documents.requeue(tx, id_)
    work = desk.service._catalog.documents.work(id_)
    assert work is not None
    return work


def _run(home: Path, stage: str, num_texts: int = 5) -> int:
    command = [sys.executable, "-c", WORKER, str(home), stage, POISON, str(num_texts)]
    return subprocess.run(command, cwd=ROOT, check=False, timeout=60).returncode


def test_work_that_a_service_leaves_in_good_order_is_not_held_against_the_document(desk: Desk) -> None:
    attempts, (id_,) = desk.service._catalog.attempts, _ids(desk)
    with attempts.at([id_], lambda: None):
        attempts.close()
        assert attempts.tries([id_]) == {}


def test_work_that_is_over_is_not_held_against_the_document_however_it_came_out(desk: Desk) -> None:
    attempts, (id_,) = desk.service._catalog.attempts, _ids(desk)

    def fail() -> None:
        with attempts.at([id_], lambda: None):
            assert attempts.tries([id_]) == {id_: 1}
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert attempts.tries([id_]) == {}
    attempts.close()
    assert desk.service._parts.database.read().execute("SELECT count(*) FROM attempts").fetchone()[0] == 0


def _ids(desk: Desk) -> list[str]:
    desk.add_and_wait(Text("one.txt", "one text"))
    return [document.id for document in desk.documents().documents]


def test_records_without_attempts_are_brought_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "records.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", MIGRATIONS[: MIGRATIONS.index(TRIED)])
        old = Database(path)
        with old.write() as tx:
            tx.execute("INSERT INTO collections (name, title, created_at) VALUES ('papers', 'Papers', 1)")
        old.close()
    database = Database(path)
    assert database.read().execute("SELECT title FROM collections").fetchone()[0] == "Papers"
    assert database.read().execute("SELECT count(*) FROM attempts").fetchone()[0] == 0
    database.close()
