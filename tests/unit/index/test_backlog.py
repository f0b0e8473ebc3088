"""What comes next of a job: a stage is given what it can work on, in the order it came."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.index import Chunking
from services.index.backlog import Backlog
from services.index.catalog import Catalog
from services.index.documents import Incoming
from services.index.jobs import OpenJob
from services.index.schema import Database


class Desk:
    """A job of documents whose stages are set by hand."""

    def __init__(self, home: Path) -> None:
        self.database = Database(home / "records.sqlite")
        self.catalog = Catalog(self.database, lambda: 0.0)
        self.catalog.create("papers", "", exist_ok=True)
        self.backlog = Backlog(self.database)
        with self.database.write() as tx:
            self.job = self.catalog.jobs.open(tx, self.catalog.shelf("papers").id, "papers", Chunking())

    def add(
        self, name: str, status: str, num_chunks: int = 0, num_embedded: int = 0, job: OpenJob | None = None
    ) -> None:
        with self.database.write() as tx:
            id_ = self.catalog.jobs.add(tx, job or self.job, Incoming(name, "text/plain", name, 1))
            tx.execute(
                "UPDATE documents SET status = ?, num_chunks = ?, num_embedded = ? WHERE id = ?",
                (status, num_chunks, num_embedded, id_),
            )


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.database.close()


def test_each_stage_is_given_its_own_in_the_order_they_came(desk: Desk) -> None:
    desk.add("embedded", "embedding", 2, 2)
    desk.add("half", "embedding", 2, 1)
    desk.add("new", "queued")
    desk.add("left", "chunking", 0, 0)
    desk.add("cut", "embedding", 1, 0)
    desk.add("failed", "failed")
    assert [work.name for work in desk.backlog.to_open(desk.job, 9)] == ["new", "left"]
    assert [work.name for work in desk.backlog.to_embed(desk.job, 9)] == ["half", "cut"]
    assert [work.name for work in desk.backlog.to_publish(desk.job, 9)] == ["embedded"]


def test_many_that_wait_to_be_published_hide_none_that_is_to_be_embedded(desk: Desk) -> None:
    for number in range(20):
        desk.add(f"embedded {number}", "embedding", 1, 1)
    desk.add("cut", "embedding", 1, 0)
    assert [work.name for work in desk.backlog.to_embed(desk.job, 5)] == ["cut"]
    assert len(desk.backlog.to_publish(desk.job, 5)) == 5


def test_documents_of_another_job_are_left_to_it(desk: Desk) -> None:
    with desk.database.write() as tx:
        other = desk.catalog.jobs.open(tx, desk.job.collection_id, "papers", Chunking())
    desk.add("other's", "embedding", 1, 0, other)
    assert desk.backlog.to_embed(desk.job, 5) == []
    assert [work.name for work in desk.backlog.to_embed(other, 5)] == ["other's"]
