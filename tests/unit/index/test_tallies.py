"""The sums that the records keep are what counting would give, whatever happens to documents and jobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clients import index as contract
from clients.index import Chunking, Text
from services.index import schema
from services.index.catalog import Catalog
from services.index.documents import Incoming
from services.index.listing import FAILED_FIRST, NEWEST
from services.index.migrations import MIGRATIONS, TALLIES
from services.index.schema import Database

from .conftest import Desk

DOCUMENTS = """SELECT collection_id, status, count(*), sum(num_chunks), sum(size_bytes) FROM documents
GROUP BY collection_id, status ORDER BY collection_id, status"""
ITEMS = """SELECT job_id, count(*), sum(outcome = 'ready'), sum(outcome = 'failed'), sum(size_bytes),
sum(iif(outcome = '', 0, size_bytes)), sum(iif(outcome = 'ready', num_chunks, 0)) FROM job_items
GROUP BY job_id ORDER BY job_id"""


def check_sums(database: Database) -> None:
    read = database.read()
    kept = "SELECT * FROM document_tallies WHERE num_documents != 0 ORDER BY collection_id, status"
    assert [tuple(row) for row in read.execute(kept)] == [tuple(row) for row in read.execute(DOCUMENTS)]
    kept = "SELECT * FROM job_tallies WHERE num_documents != 0 ORDER BY job_id"
    assert [tuple(row) for row in read.execute(kept)] == [tuple(row) for row in read.execute(ITEMS)]


def test_the_sums_stay_right_while_documents_come_fail_and_go(open_desk: Callable[..., Desk], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A file of the service's disk.", encoding="utf-8")
    (tmp_path / "b.xyz").write_bytes(b"\x00\x01\x02" * 999)
    desk = open_desk(roots=(str(tmp_path),))
    database = desk.service._parts.database
    desk.add_and_wait("one text", "another text", Text("long", "Many words. " * 400), chunking=Chunking(64, 0))
    desk.add_and_wait("one text", "", "a third text")
    desk.wait(desk.call(contract.ADD_PATHS, contract.AddPaths("papers", [str(tmp_path)])))
    check_sums(database)
    desk.add_and_wait(Text("long", "Many words. " * 400), chunking=Chunking(32, 0))
    desk.call(contract.DELETE_DOCUMENT, contract.DocumentId(desk.documents(status="ready").documents[0].id))
    desk.call(contract.CANCEL_JOB, contract.JobId(desk.add(*(f"text {n}" for n in range(50))).id))
    check_sums(database)
    assert desk.call(contract.COLLECTIONS).collections[0].num_failed == desk.documents(status="failed").total > 0
    desk.call(contract.DELETE_COLLECTION, contract.CollectionName("papers"))
    check_sums(database)


def test_records_that_were_not_tallied_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "records.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", MIGRATIONS[: MIGRATIONS.index(TALLIES)])
        old = Database(path)
        with old.write() as tx:
            tx.execute("INSERT INTO collections (name, title, created_at) VALUES ('papers', 'Papers', 1)")
            tx.execute(
                """INSERT INTO jobs (id, collection_id, collection, status, size, overlap, by_line, created_at,
                updated_at) VALUES ('job', 1, 'papers', 'running', 512, 64, 0, 1, 1)"""
            )
            for name, status in (("a", "ready"), ("b", "failed"), ("c", "queued")):
                tx.execute(
                    """INSERT INTO documents (id, collection_id, name, media_type, sha256, size_bytes, status,
                    num_chunks, size, overlap, by_line, created_at, updated_at)
                    VALUES (?, 1, ?, '', ?, 10, ?, 2, 512, 64, 0, 1, 1)""",
                    (name, name, name, status),
                )
                outcome = "" if status == "queued" else status
                tx.execute(
                    """INSERT INTO job_items (job_id, document_id, name, size_bytes, outcome, num_chunks)
                    VALUES ('job', ?, ?, 10, ?, 2)""",
                    (name, name, outcome),
                )
        old.close()
    database = Database(path)
    check_sums(database)
    catalog = Catalog(database, lambda: 0.0)
    (collection,) = catalog.collections()
    assert (collection.num_documents, collection.num_chunks, collection.num_failed) == (3, 2, 1)
    job = catalog.jobs.get("job")
    assert (job.num_documents, job.num_done, job.num_failed, job.bytes_total, job.bytes_done) == (3, 1, 1, 30, 20)
    database.close()


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT * FROM documents d WHERE d.collection_id = 1 {FAILED_FIRST} LIMIT 9",
        f"SELECT * FROM documents d WHERE d.collection_id = 1 AND d.status = 'ready' {NEWEST} LIMIT 9",
    ],
)
def test_a_page_of_documents_is_read_in_the_order_of_an_index(tmp_path: Path, query: str) -> None:
    database = Database(tmp_path / "records.sqlite")
    plan = " ".join(row["detail"] for row in database.read().execute(f"EXPLAIN QUERY PLAN {query}"))
    database.close()
    assert "USING INDEX documents_" in plan
    assert "TEMP B-TREE" not in plan


def test_failed_documents_are_listed_first_and_then_the_newest(tmp_path: Path) -> None:
    database, now = Database(tmp_path / "records.sqlite"), iter(range(100))
    catalog = Catalog(database, lambda: float(next(now)))
    shelf = catalog.create("papers", "", exist_ok=True) and catalog.shelf("papers")
    with database.write() as tx:
        for name in ("a", "b", "c", "d"):
            new = Incoming(name, "text/plain", name, 1)
            id_, _ = catalog.documents.take(tx, shelf.id, "papers", new, Chunking())
            if name == "b":
                catalog.documents.settle(tx, id_, "failed", "no text", "")

    def names(**filters: str) -> list[str]:
        page = catalog.listing.page(shelf.id, contract.ListDocuments("papers", **filters))
        assert page.total == len(page.documents)
        return [document.name for document in page.documents]

    assert names() == ["b", "d", "c", "a"]
    assert names(status="queued") == ["d", "c", "a"]
    assert names(keyword="C") == ["c"]
    assert names(keyword="b", status="queued") == []
    database.close()
