"""Several workers over one data directory and one server of vectors: one leads, the others follow, none is behind."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from clients import editing, pages, testsets
from clients import index as contract
from clients.client import Client
from clients.config import Config, Index
from clients.errors import BackendError, BadRequest, NotFound, StoreAway
from clients.greetings import LEGACY
from clients.llm import LLMClient
from clients.wire import Nothing
from clients.within import Within
from services.index import schema
from services.index.lock import DirectoryLock
from services.index.migrations import MIGRATIONS
from services.index.parts import follow_parts
from services.index.schema import Database, OlderSchema
from services.index.service import READING, IndexService
from services.index.stores import server as protocol
from services.index.storing import server_of
from services.index.triggers import NUMBERED
from services.launching import store_watch
from services.launching.liaison import Stuck
from tests.served import Server
from tests.unit.index.conftest import TOY, Desk, InProcess

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
SHARED: dict[str, Any] = {"store": "chroma-server"}
TEXTS = [f"File {n} tells of subject {n * 7}." for n in range(40)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path / "home")
    yield running
    running.resume()
    running.close()


@pytest.fixture
def desks(server: Server, mesh: InProcess) -> Iterator[Callable[..., Desk]]:
    """Opens workers over the home of the server; the first leads."""
    opened: list[Desk] = []

    def open_one(**settings: Any) -> Desk:
        opened.append(Desk(server.home, mesh, Index(**{**SHARED, "sample": False, **settings})))
        return opened[-1]

    yield open_one
    for desk in opened:
        desk.close()


def texts(hits: contract.Hits) -> list[str]:
    return [hit.text for hit in hits.hits]


def without_copies(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let searches ask the server, as those of large collections do."""
    store = cast("Any", desk.service._parts.store)
    monkeypatch.setattr(store._exact, "_max_vectors", 0)
    monkeypatch.setattr(store._records, "_max_vectors", 0)


def test_the_first_worker_leads_and_the_second_only_reads(desks: Callable[..., Desk]) -> None:
    leader, follower = desks(), desks()
    assert (leader.service.leads, follower.service.leads) == (True, False)
    assert set(follower.service.handlers()) == set(READING)
    served = {method.name for method in READING}
    assert set(follower.service.elsewhere()) == {m.name for m in contract.METHODS} - served | {LEGACY}
    assert leader.service.elsewhere() == []
    assert set(leader.service.handlers()) == set(contract.METHODS)
    leader.add_and_wait("one text")
    assert leader.service.note() == "leads; 1 collection, 1 chunk, chroma-server"
    lock = DirectoryLock(leader.home / "index")
    assert follower.service.note() == f"follows pid {lock.owner()}; 1 collection, 1 chunk, chroma-server"


@pytest.mark.parametrize("has_copies", [True, False])
def test_a_follower_finds_what_was_added_and_not_what_was_deleted(
    desks: Callable[..., Desk], has_copies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    leader, follower = desks(), desks()
    if not has_copies:
        leader.until(lambda: leader.service._parts.catalog.changes.mark != "")
        without_copies(follower, monkeypatch)
    for number, text in enumerate(TEXTS):
        leader.add_and_wait(text)
        for mode in ("dense", "keyword"):
            assert texts(follower.search(text, cast("Any", mode), top_k=1, rerank=False)) == [text]
        if number % 4 == 3:
            (gone,) = (d.id for d in leader.documents(keyword=TEXTS[number - 1]).documents)
            leader.call(contract.DELETE_DOCUMENT, contract.DocumentId(gone))
            for mode in ("dense", "keyword"):
                found = texts(follower.search(TEXTS[number - 1], cast("Any", mode), top_k=50, rerank=False))
                assert TEXTS[number - 1] not in found
                assert mode == "keyword" or len(found) == number + 1 - (number + 1) // 4


def test_a_follower_sees_every_change_of_a_chunk_at_once(desks: Callable[..., Desk]) -> None:
    leader, follower = desks(), desks()
    leader.add_and_wait(*TEXTS)
    hit = follower.search(TEXTS[5], top_k=1).hits[0]
    chunk = leader.call(editing.EDIT_CHUNK, editing.EditChunk(hit.chunk_id, "Now it tells of zebras."))
    for mode in ("dense", "keyword"):
        assert texts(follower.search("tells of zebras", cast("Any", mode), top_k=1)) == ["Now it tells of zebras."]
    leader.call(editing.SWITCH_CHUNKS, editing.SwitchChunks([chunk.id], is_enabled=False))
    for mode in ("dense", "keyword"):
        assert "Now it tells of zebras." not in texts(follower.search("tells of zebras", cast("Any", mode), top_k=40))
    leader.call(editing.SWITCH_CHUNKS, editing.SwitchChunks([chunk.id], is_enabled=True))
    leader.call(editing.REVERT_CHUNK, editing.RevertChunk(chunk.id))
    assert texts(follower.search(TEXTS[5], "dense", top_k=1)) == [TEXTS[5]]


@pytest.mark.parametrize("has_copies", [True, False])
def test_a_follower_keeps_to_the_chosen_documents_as_they_are_now(
    desks: Callable[..., Desk], has_copies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    leader, follower = desks(), desks()
    if not has_copies:
        leader.until(lambda: leader.service._parts.catalog.changes.mark != "")
        without_copies(follower, monkeypatch)
    here = Within(["File 1*"])
    leader.add_and_wait(*TEXTS[20:])
    for number, text in enumerate(TEXTS[:20]):
        leader.add_and_wait(text)
        wanted = sorted(known for known in TEXTS[: number + 1] if known.startswith("File 1"))
        for mode in ("dense", "keyword"):
            found = follower.search("File tells of subject", cast("Any", mode), top_k=50, rerank=False, within=here)
            assert sorted(texts(found)) == wanted


def test_leader_and_follower_give_the_same_hits_with_the_same_scores(desks: Callable[..., Desk]) -> None:
    leader, follower = desks(), desks()
    leader.add_and_wait(*TEXTS)
    for query in TEXTS[::5]:
        assert leader.search(query, top_k=20).hits == follower.search(query, top_k=20).hits


def test_a_collection_that_is_made_anew_has_nothing_of_the_former_one(desks: Callable[..., Desk]) -> None:
    leader, follower = desks(), desks()
    leader.add_and_wait(*TEXTS)
    assert follower.search(TEXTS[0]).hits
    leader.call(contract.DELETE_COLLECTION, contract.CollectionName("papers"))
    leader.add_and_wait("a text about zebras")
    assert texts(follower.search(TEXTS[0], top_k=50)) == ["a text about zebras"]


def test_a_follower_takes_the_place_of_a_leader_that_ends(server: Server, mesh: InProcess) -> None:
    leader, follower = (Desk(server.home, mesh, Index(**SHARED, sample=False)) for _ in range(2))
    leader.add_and_wait(*TEXTS)
    assert len(follower.search(TEXTS[0], top_k=50).hits) == len(TEXTS)
    told: list[bool] = []
    follower.service.renewed = lambda: told.append(follower.service.leads)
    left = leader.add("it was added when the leader left")
    leader.close()
    follower.until(lambda: bool(told))
    assert told == [True]
    follower._calls = InProcess(follower.service)
    assert follower.wait(left).status == "succeeded"
    assert follower.add_and_wait("and this later").status == "succeeded"
    assert texts(follower.search("when the leader left", "dense", top_k=1)) == ["it was added when the leader left"]
    follower.close()


def test_a_follower_waits_until_the_records_have_the_present_schema(tmp_path: Path, mesh: InProcess) -> None:
    config = Config(data_dir=str(tmp_path), llm=TOY, index=Index(**SHARED))
    llm = LLMClient(cast("Client", mesh))
    with pytest.raises(OlderSchema, match="no records"):
        follow_parts(config, llm)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", MIGRATIONS[:3])
        Database(tmp_path / "index" / "records.sqlite").close()
    with pytest.raises(OlderSchema, match=f"schema 3 of {len(MIGRATIONS)}"):
        follow_parts(config, llm)
    Database(tmp_path / "index" / "records.sqlite").close()
    follow_parts(config, llm).close()


def test_records_of_the_former_schema_are_found_again_and_count_their_changes(
    tmp_path: Path, desks: Callable[..., Desk]
) -> None:
    path = tmp_path / "home" / "index" / "records.sqlite"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", MIGRATIONS[: MIGRATIONS.index(NUMBERED)])
        old = Database(path)
        with old.write() as tx:
            tx.execute("INSERT INTO collections (name, title, created_at) VALUES ('papers', 'Papers', 1)")
        old.close()
    leader = desks()
    assert [c.title for c in leader.call(contract.COLLECTIONS).collections] == ["Papers"]
    leader.add_and_wait(TEXTS[0])
    changes = leader.service._parts.catalog.changes
    assert changes.number(1) > 0
    assert len(changes.name) == len("ragq-") + 16


def test_two_records_share_one_server_and_nothing_else(tmp_path: Path, server: Server, mesh: InProcess) -> None:
    place = server.where.read()
    assert place is not None
    settings = Index(**SHARED, chroma_url=place.url, sample=False)
    one, two = (Desk(tmp_path / name, mesh, settings) for name in ("one", "two"))
    one.add_and_wait(*TEXTS)
    two.add_and_wait("a text about zebras")
    stores = [server_of(desk.service.config, desk.service._parts.catalog) for desk in (one, two)]
    keys = [desk.service._parts.catalog.shelf("papers").store_key for desk in (one, two)]
    assert [store.count(key) for store, key in zip(stores, keys, strict=True)] == [len(TEXTS), 1]
    for each in (*stores, one, two):
        each.close()


def test_a_worker_of_an_embedded_store_does_not_follow(tmp_path: Path, mesh: InProcess) -> None:
    desk = Desk(tmp_path, mesh, Index(store="memory", sample=False))
    second = IndexService(desk.service.config, LLMClient(cast("Client", mesh)))
    with pytest.raises(BackendError, match="in use by process"):
        second.start()
    desk.close()


@pytest.mark.parametrize("how", ["kill", "pause"])
def test_searches_say_that_the_server_is_away_and_go_on_with_words(
    server: Server, desks: Callable[..., Desk], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "QUICK_S", 0.5)
    leader, follower = desks(), desks()
    leader.add_and_wait(*TEXTS)
    for desk in (leader, follower):
        without_copies(desk, monkeypatch)
        assert texts(desk.search(TEXTS[3], "dense", top_k=1)) == [TEXTS[3]]
    getattr(server, how)()
    for desk in (leader, follower):
        began = time.monotonic()
        with pytest.raises(StoreAway, match="vector store's server") as away:
            desk.search(TEXTS[3], "dense")
        assert (away.value.retryable, "ragq logs store" in away.value.help) == (True, True)
        hits = desk.search(TEXTS[3], top_k=1)
        assert texts(hits) == [TEXTS[3]]
        assert "searched by words only: the vector store's server" in hits.notes[0]
        assert time.monotonic() - began < 5


def test_small_collections_are_searched_whether_the_server_is_there_or_not(
    server: Server, desks: Callable[..., Desk]
) -> None:
    leader, follower = desks(), desks()
    leader.add_and_wait(*TEXTS)
    server.kill()
    for desk in (leader, follower):
        assert texts(desk.search(TEXTS[3], "dense", top_k=1)) == [TEXTS[3]]


def test_what_is_added_changed_and_deleted_waits_for_the_server(server: Server, desks: Callable[..., Desk]) -> None:
    leader = desks()
    leader.add_and_wait(*TEXTS)
    server.kill()
    (gone,) = (d.id for d in leader.documents(keyword=TEXTS[7]).documents)
    leader.call(contract.DELETE_DOCUMENT, contract.DocumentId(gone))
    hit = leader.search(TEXTS[9], top_k=1).hits[0]
    leader.call(editing.EDIT_CHUNK, editing.EditChunk(hit.chunk_id, "Now it tells of zebras."))
    job = leader.add("added while the server is away")
    other = leader.add("and into a new collection", collection="other")
    for each in (job, other):
        leader.until(lambda each=each: leader.job(each.id).stage.startswith("waiting for the vector store"))
    server.start()
    for each in (job, other):
        assert leader.wait(each).status == "succeeded"
    assert texts(leader.search("added while away", "dense", top_k=1)) == ["added while the server is away"]
    leader.until(lambda: _is_whole(leader, server), 30)
    assert len(server.store().ids(leader.service._parts.catalog.shelf("papers").store_key)) == len(TEXTS)


def test_a_server_that_comes_back_with_an_empty_disk_is_filled_anew(
    server: Server, desks: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    leader, follower = desks(), desks()
    leader.add_and_wait(*TEXTS)
    leader.until(lambda: leader.service._parts.catalog.changes.mark != "")
    server.kill()
    shutil.rmtree(server.home / "chroma")
    server.start()
    leader.add_and_wait("added as soon as it was back")
    without_copies(leader, monkeypatch)
    while leader.service._parts.catalog.changes.mark != server.store().mark():
        with suppress(StoreAway):  # it finds everything or says that it cannot yet
            assert texts(leader.search(TEXTS[-1], "dense", top_k=1)) == [TEXTS[-1]]
    leader.until(lambda: _is_whole(leader, server), 30)
    leader.until(lambda: server.store().mark() == leader.service._parts.catalog.changes.mark, 30)
    without_copies(follower, monkeypatch)
    for text in (*TEXTS, "added as soon as it was back"):
        assert texts(follower.search(text, "dense", top_k=1)) == [text]


def _is_whole(desk: Desk, server: Server) -> bool:
    """Whether the server holds exactly what the records say."""
    catalog, store = desk.service._parts.catalog, server.store()
    return all(store.ids(shelf.store_key) == catalog.documents.entries.wanted(shelf.id) for shelf in catalog.shelves())


REQUESTS: dict[str, Any] = {
    "index.documents": contract.ListDocuments("papers"),
    "index.search": contract.Search("papers", "tells of subject"),
    "index.calibration": contract.CollectionName("papers"),
    "index.past_searches": contract.CollectionName("papers"),
    "index.questions": testsets.QuestionPage("none"),
    "index.runs": testsets.SetName("none"),
    "index.chat": contract.ChatId("none"),
}


def test_every_method_of_a_follower_only_reads(desks: Callable[..., Desk]) -> None:
    leader, follower = desks(), desks()
    job = leader.add_and_wait(TEXTS[0])
    (document,) = leader.documents().documents
    chunk = leader.call(contract.CHUNKS, contract.ListChunks(document.id)).chunks[0]
    about = {
        **REQUESTS,
        "index.job": contract.JobId(job.id),
        "index.document": contract.DocumentId(document.id),
        "index.chunks": contract.ListChunks(document.id),
        "index.passage": contract.ChunkId(chunk.id),
        "index.page_image": pages.PageOf(document.id, 1),
    }
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        follower.service._parts.catalog.changes.touch(1)
    for method in READING:
        with suppress(BadRequest, NotFound):  # there is no such page, and no such test set
            follower.call(method, about.get(method.name, Nothing()))


def test_a_server_that_stands_still_is_told_to_whoever_can_start_it_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_watch, "INTERVAL_S", 0.05)
    monkeypatch.setattr(store_watch, "ANSWER_S", 0.5)
    heard: list[Stuck] = []
    with store_watch.StoreWatch(server.where, heard.append, max_silent_s=1.0):
        time.sleep(1.5)
        assert heard == []
        server.pause()
        deadline = time.monotonic() + 20
        while not heard:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert heard[0] == Stuck(server.process.pid)
