"""Are questions that people try remembered for their collection, as many as wanted, and forgotten when asked?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import pytest

from clients.client import Client
from clients.errors import BadRequest, NotFound
from clients.index import IndexClient
from clients.searches import MAX_KEPT_AT_ONCE, MAX_KEPT_CHARS
from services.index import schema
from services.index.migrations import MIGRATIONS, TRIALS
from services.index.schema import Database
from tests.unit.index.conftest import Desk

Open = Callable[..., Desk]


def client(desk: Desk) -> IndexClient:
    return IndexClient(cast("Client", desk._calls))


@pytest.fixture
def index(open_desk: Open) -> IndexClient:
    index = client(open_desk(search_history=3))
    for name in ("papers", "other"):
        index.create_collection(name)
    return index


def texts(index: IndexClient, collection: str = "papers") -> list[str]:
    return [search.text for search in index.past_searches(collection).searches]


def test_the_last_question_comes_first_and_each_stands_there_once(index: IndexClient) -> None:
    index.keep_searches("papers", ["why?", "where?"])
    index.keep_searches("papers", ["why?"])
    assert texts(index) == ["why?", "where?"]
    assert [search.num_times for search in index.past_searches("papers").searches] == [2, 1]
    assert all(search.searched_at > 0 for search in index.past_searches("papers").searches)


def test_each_collection_has_its_own_and_the_oldest_go(index: IndexClient) -> None:
    index.keep_searches("papers", ["1", "2", "3", "4"])
    index.keep_searches("other", ["x"])
    assert (texts(index), texts(index, "other")) == (["4", "3", "2"], ["x"])


def test_some_are_forgotten_or_all_of_a_collection(index: IndexClient) -> None:
    index.keep_searches("papers", ["1", "2", "3"])
    index.keep_searches("other", ["1"])
    index.forget_searches("papers", ["2", "never tried"])
    assert texts(index) == ["3", "1"]
    index.forget_searches("papers")
    assert (texts(index), texts(index, "other")) == ([], ["1"])


def test_searches_of_programs_leave_no_trace(open_desk: Open) -> None:
    desk = open_desk()
    desk.add_and_wait("Herons wait for fish.")
    assert desk.search("herons").hits
    assert texts(client(desk)) == []


def test_where_it_is_switched_off_nothing_is_kept_and_what_was_kept_goes(open_desk: Open) -> None:
    desk = open_desk()
    client(desk).create_collection("papers")
    client(desk).keep_searches("papers", ["1", "2", "3"])
    assert client(desk).past_searches("papers").is_kept
    desk.close()
    desk = open_desk(search_history=0)
    client(desk).keep_searches("papers", ["4"])
    assert client(desk).past_searches("papers").searches == []
    assert not client(desk).past_searches("papers").is_kept
    assert desk.service._parts.database.read().execute("SELECT count(*) FROM searches").fetchone()[0] == 0
    desk.close()
    assert texts(client(open_desk())) == []


def test_a_smaller_number_holds_for_what_was_kept_before(open_desk: Open) -> None:
    desk = open_desk()
    client(desk).create_collection("papers")
    client(desk).keep_searches("papers", ["1", "2", "3"])
    desk.close()
    open_desk(search_history=1).close()
    assert texts(client(open_desk())) == ["3"]


def test_a_collection_takes_its_questions_along_when_it_goes(index: IndexClient) -> None:
    index.keep_searches("papers", ["1"])
    index.delete_collection("papers")
    index.create_collection("papers")
    assert texts(index) == []


@pytest.mark.parametrize("given", [[], ["x"] * (MAX_KEPT_AT_ONCE + 1), [""], ["x" * (MAX_KEPT_CHARS + 1)]])
def test_what_is_no_question_is_refused(index: IndexClient, given: Sequence[str]) -> None:
    with pytest.raises(BadRequest):
        index.keep_searches("papers", given)
    assert texts(index) == []


def test_an_unknown_collection_is_refused(index: IndexClient) -> None:
    for call in (index.past_searches, index.forget_searches):
        with pytest.raises(NotFound):
            call("nobody")
    with pytest.raises(NotFound):
        index.keep_searches("nobody", ["x"])


def test_records_of_the_former_schema_open_with_everything_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "records.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", MIGRATIONS[: MIGRATIONS.index(TRIALS)])
        old = Database(path)
        with old.write() as tx:
            tx.execute("INSERT INTO collections (name, title, created_at) VALUES ('papers', 'Papers', 1.0)")
        old.close()
    database = Database(path)
    assert database.read().execute("SELECT name FROM collections").fetchone()[0] == "papers"
    assert database.read().execute("SELECT count(*) FROM searches").fetchone()[0] == 0
    database.close()
