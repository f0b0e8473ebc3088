"""A collection is embedded anew by another model while it is searched, added to and changed, and the service dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients import index as contract
from clients.checkup import Checked, Checkup, Finding
from clients.documents import Collection
from clients.editing import EDIT_CHUNK, EditChunk
from clients.errors import BadRequest, NotFound, Unreachable
from clients.index import Chunking, JobRecord, Text, Within
from clients.reindexing import REINDEX, Reindex
from services.index.migrations import MIGRATIONS
from services.index.reindexing import PROBE
from services.index.schema import Database
from services.service import Call

from .conftest import Desk
from .serving import NEW, OLD, Serving
from .test_entries import take_back

pytestmark = pytest.mark.process

SUBJECTS = ("whales", "bees", "herons", "bridges", "lamps", "ferries", "violins", "glaciers", "comets", "looms")
NOTES = [Text(f"{n}.txt", f"Note {n} tells what {SUBJECTS[n % 10]} do{n} in place{n} at hour{n}.") for n in range(200)]
STORES = ["memory", "chroma", "faiss"]


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    one = Serving(tmp_path)
    yield one
    one.mesh.before = lambda method, request: None
    one.close()


@pytest.fixture(params=STORES)
def desk(serving: Serving, request: pytest.FixtureRequest) -> Desk:
    """200 notes and a footer that every one of them has, embedded by the former model."""
    if request.param == "faiss":
        pytest.importorskip("faiss", reason="pip install 'ragq[faiss]'")
    desk = serving.desk(request.param)
    notes = [Text(note.name, f"{note.text}\nAll rights reserved.") for note in NOTES]
    assert desk.add_and_wait(*notes, chunking=Chunking(by_line=True)).num_done == len(NOTES)
    serving.serve(NEW)
    return desk


def reindex(desk: Desk, model: str = "") -> JobRecord:
    return desk.call(REINDEX, Reindex("papers", model))


def about(desk: Desk) -> Collection:
    (found,) = desk.call(contract.COLLECTIONS).collections
    return found


def findings(desk: Desk, *, repair: bool = False) -> list[Finding]:
    return checked(desk, repair=repair).findings


def checked(desk: Desk, *, repair: bool = False) -> Checked:
    stages = desk.service.check(Checkup(probe=True, repair=repair), Call(time.monotonic() + 60))
    while True:
        try:
            next(stages)
        except StopIteration as end:
            found: Checked = end.value
            return found


def check(desk: Desk) -> None:
    """Nothing is amiss, and nothing is left of what was before."""
    assert findings(desk) == []
    parts = desk.service._parts
    desk.until(lambda: not parts.database.read().execute("SELECT 1 FROM stale_generations").fetchone())
    shelf = parts.catalog.shelf("papers")
    held = {row[0] for row in parts.database.read().execute("SELECT DISTINCT generation FROM vectors")}
    assert held == {shelf.generation}
    shadows = {row[0] for row in parts.database.read().execute("SELECT generation FROM shadows")}
    for other in set(range(shelf.generation + 3)) - {shelf.generation} - shadows:
        assert parts.store.count(f"collection-000001-{other:06d}" if other else "collection-000001") == 0


def is_right(desk: Desk, number: int) -> str:
    """Ask for a note by all of its words; which model found it."""
    found = desk.search(NOTES[number].text, "dense", rerank=False, top_k=1)
    assert [hit.text for hit in found.hits] == [NOTES[number].text]
    assert found.hits[0].score == pytest.approx(1.0, abs=1e-3), "a question of one model met vectors of another"
    return found.model


class Gate:
    """Holds the embedding of documents by the new model, after a number of batches."""

    def __init__(self, serving: Serving, after: int = 1) -> None:
        self.left = after
        self.reached = threading.Event()
        self.open = threading.Event()
        serving.mesh.before = self.before

    def before(self, _method: object, request: Any) -> None:
        if getattr(request, "role", "") != "document" or request.model != NEW or request.texts == [PROBE]:
            return
        self.left -= 1
        if self.left < 0:
            self.reached.set()
            assert self.open.wait(30)


def test_a_collection_gets_the_vectors_of_another_model(desk: Desk) -> None:
    assert (about(desk).model, about(desk).dimension) == (OLD, 64)
    job = desk.wait(reindex(desk))
    assert (job.status, job.model, job.num_done, job.num_chunks) == ("succeeded", NEW, 200, 400)
    assert job.bytes_done == job.bytes_total > 0
    assert (about(desk).model, about(desk).dimension) == (NEW, 256)
    assert {is_right(desk, number) for number in range(0, 200, 20)} == {NEW}
    check(desk)
    assert desk.wait(reindex(desk, OLD)).status == "succeeded"
    assert {is_right(desk, number) for number in range(0, 200, 20)} == {OLD}
    check(desk)


def test_every_content_is_embedded_once(desk: Desk, serving: Serving) -> None:
    asked: list[str] = []
    serving.mesh.before = lambda method, request: asked.extend(getattr(request, "texts", []))
    desk.wait(reindex(desk))
    assert sorted(asked) == sorted({PROBE, "All rights reserved.", *(note.text for note in NOTES)})


def test_searches_are_right_all_the_time(desk: Desk, serving: Serving) -> None:
    """Never empty, never by words alone, and each by one model: first by the old one, in the end by the new one."""
    serving.mesh.before = lambda method, request: time.sleep(0.002)
    is_over = threading.Event()

    def ask(number: int) -> list[str]:
        seen = []
        while not is_over.is_set():
            seen.append(is_right(desk, number % 200))
            hybrid = desk.search(NOTES[number % 200].text)
            assert hybrid.hits[0].text == NOTES[number % 200].text
            assert not [note for note in hybrid.notes if "words only" in note]
            here = Within([f"{number % 200}.txt", "1*.txt"])
            limited = desk.search(NOTES[number % 200].text, "dense", rerank=False, top_k=3, within=here).hits
            assert (limited[0].text, round(limited[0].score, 3)) == (NOTES[number % 200].text, 1.0)
            assert all(hit.document in here.documents or hit.document.startswith("1") for hit in limited)
            number += 7
        return [*seen, is_right(desk, 0)]

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask, number) for number in range(3)]
        for model in ("", OLD, NEW):
            assert desk.wait(reindex(desk, model), 60).status == "succeeded"
        is_over.set()
        models = [each.result() for each in asking]
    for seen in models:
        assert seen[-1] == NEW
        assert 1 <= sum(a != b for a, b in pairwise(seen)) <= 3


def test_a_question_whose_vectors_are_replaced_while_it_is_embedded_is_embedded_again(
    desk: Desk, serving: Serving
) -> None:
    asked = threading.Event()
    swapped = threading.Event()

    def slowly(_method: object, request: Any) -> None:
        if getattr(request, "role", "") == "query" and request.model == OLD and not swapped.is_set():
            asked.set()
            assert swapped.wait(30)

    serving.mesh.before = slowly
    found: list[str] = []
    asking = threading.Thread(target=lambda: found.append(is_right(desk, 5)))
    asking.start()
    assert asked.wait(10)
    assert desk.wait(reindex(desk)).status == "succeeded"
    swapped.set()
    asking.join()
    assert found == [NEW]


def test_what_is_added_changed_and_deleted_meanwhile_is_caught_up_with(desk: Desk, serving: Serving) -> None:
    gate = Gate(serving)
    job = reindex(desk)
    assert gate.reached.wait(10)
    added = desk.add("Pelicans wait for the ferry.")
    first = {d.name: d for d in desk.documents(limit=1000).documents}
    (chunk, _) = desk.call(contract.CHUNKS, contract.ListChunks(first["0.txt"].id)).chunks
    desk.call(EDIT_CHUNK, EditChunk(chunk.id, "Storks sleep on one leg."))
    desk.call(contract.DELETE_DOCUMENT, contract.DocumentId(first["1.txt"].id))
    assert is_right(desk, 2) == OLD
    gate.open.set()
    desk.wait(added)
    desk.wait(job)
    for text in ("Pelicans wait for the ferry.", "Storks sleep on one leg."):
        best = desk.search(text, "dense", rerank=False).hits[0]
        assert (best.text, round(best.score, 3)) == (text, 1.0)
    assert NOTES[1].text not in [hit.text for hit in desk.search(NOTES[1].text, rerank=False, top_k=100).hits]
    assert is_right(desk, 2) == NEW
    check(desk)


def test_an_edit_whose_vector_is_of_the_replaced_model_is_embedded_again(desk: Desk, serving: Serving) -> None:
    swapped = threading.Event()
    reached = threading.Event()

    def slowly(_method: object, request: Any) -> None:
        if getattr(request, "texts", []) == ["Storks sleep on one leg."] and request.model == OLD:
            reached.set()
            assert swapped.wait(30)

    serving.mesh.before = slowly
    (document,) = desk.documents(keyword="17.txt", limit=1).documents[:1]
    (chunk, _) = desk.call(contract.CHUNKS, contract.ListChunks(document.id)).chunks
    editing = threading.Thread(target=desk.call, args=(EDIT_CHUNK, EditChunk(chunk.id, "Storks sleep on one leg.")))
    editing.start()
    assert reached.wait(10)
    assert desk.wait(reindex(desk)).status == "succeeded"
    swapped.set()
    editing.join()
    best = desk.search("Storks sleep on one leg.", "dense", rerank=False).hits[0]
    assert (best.text, round(best.score, 3)) == ("Storks sleep on one leg.", 1.0)
    check(desk)


def test_a_cancelled_one_leaves_nothing(desk: Desk, serving: Serving) -> None:
    gate = Gate(serving)
    job = reindex(desk)
    assert gate.reached.wait(10)
    assert 0 < desk.job(job.id).bytes_done < desk.job(job.id).bytes_total
    assert desk.call(contract.CANCEL_JOB, contract.JobId(job.id)).status == "cancelled"
    gate.open.set()
    assert is_right(desk, 3) == OLD
    assert about(desk).model == OLD
    check(desk)
    serving.mesh.before = lambda method, request: None
    assert desk.wait(reindex(desk)).status == "succeeded", "another one may follow"
    assert is_right(desk, 3) == NEW


def test_a_deleted_collection_takes_its_shadow_along(desk: Desk, serving: Serving) -> None:
    gate = Gate(serving)
    job = reindex(desk)
    assert gate.reached.wait(10)
    desk.call(contract.DELETE_COLLECTION, contract.CollectionName("papers"))
    gate.open.set()
    assert desk.wait(job).status == "cancelled"
    parts = desk.service._parts
    for table in ("vectors", "shadows", "stale_generations"):
        assert parts.database.read().execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0, table
    desk.until(lambda: parts.store.count("collection-000001-000001") == 0)


def test_there_is_one_at_a_time(desk: Desk, serving: Serving) -> None:
    gate = Gate(serving)
    job = reindex(desk)
    assert gate.reached.wait(10)
    assert reindex(desk).id == job.id
    with pytest.raises(BadRequest, match=f"being re-indexed by {NEW} already") as refused:
        reindex(desk, OLD)
    assert job.id in refused.value.help
    gate.open.set()
    assert desk.wait(job).status == "succeeded"


def test_what_cannot_begin_says_why(desk: Desk) -> None:
    with pytest.raises(NotFound, match="'nowhere' is on this machine"):
        reindex(desk, "nowhere")
    with pytest.raises(NotFound, match="no collection"):
        desk.call(REINDEX, Reindex("nothing"))
    desk.call(contract.CREATE_COLLECTION, contract.CreateCollection("empty"))
    with pytest.raises(BadRequest, match="no vectors yet"):
        desk.call(REINDEX, Reindex("empty"))


def test_an_outage_is_waited_for_and_a_refusal_is_not(desk: Desk, serving: Serving) -> None:
    failures: list[Exception] = [Unreachable("gone"), Unreachable("gone")]

    def fails(_method: object, request: Any) -> None:
        if getattr(request, "model", "") == NEW and request.texts != [PROBE] and failures:
            raise failures.pop()

    serving.mesh.before = fails
    assert desk.wait(reindex(desk)).status == "succeeded"
    failures.append(NotFound("no model 'toy-64' is on this machine to embed", help="ragq models pull it"))

    def refuses(_method: object, request: Any) -> None:
        if getattr(request, "model", "") == OLD and request.role == "document" and request.texts != [PROBE]:
            raise failures[0]

    serving.mesh.before = refuses
    job = desk.wait(reindex(desk, OLD))
    assert (job.status, job.reason) == (
        "failed",
        "no model 'toy-64' is on this machine to embed\n  ragq models pull it",
    )
    assert is_right(desk, 4) == NEW
    check(desk)


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_restart_goes_on(desk: Desk, serving: Serving, when: str) -> None:
    store = desk.service.config.index.store
    gate = Gate(serving, after=0 if when == "before" else 2)
    job = reindex(desk)
    assert gate.reached.wait(10)
    desk.service._parts.ingest._rest.stop()
    gate.open.set()
    desk.close()
    asked: list[str] = []
    serving.mesh.before = lambda method, request: asked.extend(getattr(request, "texts", []))
    again = serving.desk(store)
    assert again.wait(again.job(job.id)).status == "succeeded"
    assert is_right(again, 9) == NEW
    if when == "during":
        assert len(asked) < len(NOTES), "what was embedded before is not embedded again"
    check(again)


def test_a_check_finds_nothing_amiss_beside_a_shadow_and_a_repair_leaves_it(desk: Desk, serving: Serving) -> None:
    gate = Gate(serving, after=2)
    job = reindex(desk)
    assert gate.reached.wait(10)
    parts = desk.service._parts
    assert parts.store.count("collection-000001-000001") > 0
    found = checked(desk)
    assert found.findings == []
    (running,) = found.reindexes
    assert (running.collection, running.model, running.job_id) == ("papers", NEW, job.id)
    assert running.num_wanted == len(NOTES) + 1, "the footer of all notes counts once"
    assert 0 < running.num_stored == running.num_recorded < running.num_wanted
    assert findings(desk, repair=True) == []
    gate.open.set()
    assert desk.wait(job).status == "succeeded"
    assert checked(desk).reindexes == []
    check(desk)


def test_a_vector_that_the_reindex_wrote_and_that_is_wrong_in_the_store_is_found_and_written_anew(
    desk: Desk, serving: Serving
) -> None:
    gate = Gate(serving, after=2)
    job = reindex(desk)
    assert gate.reached.wait(10)
    store, key = desk.service._parts.store, "collection-000001-000001"
    altered = min(store.ids(key))
    store.upsert(key, [altered], np.eye(1, 256, dtype=np.float32))
    (finding,) = findings(desk)
    assert (finding.fault, finding.examples, finding.is_mended) == ("wrong_next_vectors", [altered], False)
    (mended,) = findings(desk, repair=True)
    assert (mended.fault, mended.is_mended) == ("wrong_next_vectors", True)
    assert findings(desk) == []
    gate.open.set()
    assert desk.wait(job).status == "succeeded"
    check(desk)


def test_a_caller_who_brings_vectors_is_told_the_new_dimension(desk: Desk) -> None:
    assert desk.call(
        contract.SEARCH, contract.Search("papers", "", mode="dense", vector=np.ones(64, np.float32), rerank=False)
    ).hits
    desk.wait(reindex(desk))
    with pytest.raises(BadRequest, match="256 finite numbers"):
        desk.call(contract.SEARCH, contract.Search("papers", "", mode="dense", vector=np.ones(64, np.float32)))


def test_records_of_the_former_schema_keep_their_vectors(open_desk: Callable[..., Desk], tmp_path: Path) -> None:
    desk = open_desk(store="chroma")
    desk.add_and_wait(*NOTES[:20])
    path = tmp_path / "home" / "index" / "records.sqlite"
    before = next(n for n, script in enumerate(MIGRATIONS) if "CREATE TABLE shadows" in script)
    rows = "SELECT chunk_key, vector FROM vectors ORDER BY chunk_key"
    vectors = desk.service._parts.database.read().execute(rows).fetchall()
    desk.close()
    take_back(path, before)
    database = Database(path)
    assert [tuple(row) for row in database.read().execute(rows)] == [tuple(row) for row in vectors]
    database.close()
    again = open_desk(store="chroma")
    assert is_right(again, 3) == NEW
    check(again)
