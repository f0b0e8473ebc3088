"""Does every job say what it is for?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients import editing, reindexing, watching
from clients import index as contract
from clients.checkup import Checkup
from clients.index import JobRecord
from services.index import schema
from services.index.migrations import KINDS, MIGRATIONS
from services.index.schema import Database
from tests.unit.index.conftest import Desk
from tests.unit.index.test_checkup import a_call, parts
from tests.unit.index.test_transfer import exported, imported


@pytest.fixture
def desk(open_desk: Callable[..., Desk], tmp_path: Path) -> Desk:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "note.txt").write_text("A note on the lighthouse.")
    desk = open_desk(roots=[str(tmp_path / "shared")], watch_s=0.05)
    desk.add_and_wait("Cats sleep on warm mats.")
    return desk


def kind(desk: Desk) -> str:
    """Of the newest job."""
    newest: JobRecord = desk.call(contract.JOBS).jobs[0]
    return newest.kind


def document(desk: Desk) -> str:
    return desk.documents().documents[0].id


def test_given_documents_are_added(desk: Desk) -> None:
    assert kind(desk) == "add"


def test_files_of_a_followed_directory_are_watched(desk: Desk, tmp_path: Path) -> None:
    desk.call(watching.WATCH, watching.WatchFolder("papers", str(tmp_path / "shared")))
    desk.until(lambda: len(desk.call(contract.JOBS).jobs) == 2)
    assert kind(desk) == "watch"


def test_new_vectors_are_a_reindex(desk: Desk) -> None:
    assert desk.wait(desk.call(reindexing.REINDEX, reindexing.Reindex("papers"))).kind == "reindex"


def test_a_packed_collection_is_an_import(desk: Desk, tmp_path: Path) -> None:
    assert imported(desk, exported(desk, tmp_path / "packed")).kind == "import"


def test_a_document_that_is_cut_anew_tried_again_or_mended_says_so(desk: Desk) -> None:
    assert desk.wait(desk.call(editing.RECUT_DOCUMENT, contract.DocumentId(document(desk)))).kind == "recut"
    desk.upload("bad.bin", b"\0\1\2")
    (failed,) = desk.documents(status="failed").documents
    assert desk.wait(desk.call(contract.RETRY_DOCUMENT, contract.DocumentId(failed.id))).kind == "retry"
    with parts(desk).database.write() as tx:
        tx.execute("DELETE FROM vectors")
    list(parts(desk).examiner.examine(Checkup(repair=True), a_call()))
    assert kind(desk) == "repair"


def test_a_document_that_no_job_waited_for_is_resumed(open_desk: Callable[..., Any], desk: Desk) -> None:
    with parts(desk).database.write() as tx:
        tx.execute("UPDATE documents SET status = 'parsing'")
    desk.close()
    assert kind(open_desk()) == "resume"


def test_jobs_of_the_former_schema_say_what_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "records.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", MIGRATIONS[: MIGRATIONS.index(KINDS)])
        old = Database(path)
        with old.write() as tx:
            for id_, model in (("given", ""), ("pages", ""), ("anew", "e5")):
                tx.execute(
                    """INSERT INTO jobs (id, collection_id, collection, status, size, overlap, by_line, created_at,
                    updated_at, model) VALUES (?, 1, 'papers', 'succeeded', 512, 64, 0, 1.0, 2.0, ?)""",
                    (id_, model),
                )
            tx.execute(
                "INSERT INTO job_items (job_id, name, size_bytes, url) VALUES ('pages', 'p', 1, 'http://x.example/')"
            )
        old.close()
    database = Database(path)
    rows = database.read().execute("SELECT id, kind FROM jobs ORDER BY number").fetchall()
    assert [tuple(row) for row in rows] == [("given", "add"), ("pages", "web"), ("anew", "reindex")]
    database.close()
