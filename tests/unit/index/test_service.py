"""Is the Index service what its contract says, with real parts in one process?"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from clients import index as contract
from clients.errors import AlreadyExists, BadRequest, ModelNotLoaded, NotFound, Unreachable
from clients.index import Chunking, Text, Turn
from clients.llm import EMBED, Embed
from services.index.lock import Locked

from .conftest import Desk, InProcess

pytestmark = pytest.mark.process

FACTS = (
    "Whales are mammals that live in the sea and breathe air.",
    "Bees make honey from the nectar of flowers.",
    "检索增强生成把知识库和语言模型结合起来，答案有出处。",
)


def test_every_method_of_the_contract_is_served(desk: Desk) -> None:
    assert {m.name for m in desk.service.handlers()} == {m.name for m in contract.METHODS}


@pytest.mark.parametrize("mode", ["dense", "keyword", "hybrid"])
def test_what_was_added_is_found(desk: Desk, mode: contract.Mode) -> None:
    job = desk.add_and_wait(*FACTS)
    assert (job.status, job.num_done, job.num_chunks, job.bytes_done) == ("succeeded", 3, 3, job.bytes_total)
    hits = desk.search("which mammals live in the sea", mode).hits
    assert hits[0].text == FACTS[0]
    assert hits[0].document == FACTS[0][:40]
    assert desk.search("知识", mode, top_k=1).hits[0].text == FACTS[2]


def test_a_hit_names_its_scores(desk: Desk) -> None:
    desk.add_and_wait(*FACTS)
    kinds = {mode: desk.search("honey of bees", mode, rerank=False).hits[0] for mode in ("dense", "keyword", "hybrid")}
    assert {mode: hit.score_kind for mode, hit in kinds.items()} == {
        "dense": "similarity",
        "keyword": "bm25",
        "hybrid": "fused",
    }
    assert kinds["dense"].score == kinds["dense"].scores["dense"] <= 1.0
    assert kinds["hybrid"].ranks == {"dense": 1, "keyword": 1}
    assert set(desk.search("honey of bees").hits[0].scores) == {"dense", "keyword", "rerank"}


def test_coverage_falls_when_the_collection_lacks_the_answer(desk: Desk) -> None:
    desk.add_and_wait(*FACTS)
    assert desk.search("Do whales breathe air?").coverage == 1.0
    assert desk.search("知识库是什么").coverage == 1.0
    assert desk.search("Who won the football championship?").coverage == 0.0
    assert 0.0 < desk.search("Do whales play football?").coverage < 1.0


def test_adding_twice_changes_nothing(desk: Desk) -> None:
    desk.add_and_wait(*FACTS)
    before = desk.documents()
    again = desk.add(*FACTS)
    assert (again.status, again.unchanged, again.num_documents) == ("succeeded", 3, 0)
    assert desk.documents() == before
    assert desk.call(contract.COLLECTIONS).collections[0].num_chunks == 3


def test_adding_again_with_other_chunks_cuts_anew(desk: Desk) -> None:
    text = "One sentence is here. Another sentence is there. A third one ends it."
    desk.add_and_wait(text)
    job = desk.add_and_wait(text, chunking=Chunking(30, 0))
    assert job.num_chunks == 3
    found = desk.search("sentence", "keyword", rerank=False).hits
    assert sorted(hit.text for hit in found) == ["Another sentence is there.", "One sentence is here."]


def test_each_line_of_a_typed_list_is_a_chunk(desk: Desk) -> None:
    desk.add_and_wait("apples\n\npears\nplums", chunking=Chunking(by_line=True))
    document = desk.documents().documents[0]
    chunks = desk.call(contract.CHUNKS, contract.ListChunks(document.id))
    assert [c.text for c in chunks.chunks] == ["apples", "pears", "plums"]


def test_a_deleted_document_is_never_found_again(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(store="chroma")
    desk.add_and_wait(*FACTS)
    document = next(d for d in desk.documents().documents if d.name.startswith("Bees"))
    desk.call(contract.DELETE_DOCUMENT, contract.DocumentId(document.id))
    for mode in ("dense", "keyword", "hybrid"):
        assert all("honey" not in hit.text for hit in desk.search("honey of bees", mode).hits)
    assert desk.service._parts.store.count("collection-000001") == 2
    assert desk.service._parts.keywords.of("collection-000001").count() == 2
    with pytest.raises(NotFound):
        desk.call(contract.DELETE_DOCUMENT, contract.DocumentId(document.id))
    assert desk.add_and_wait(FACTS[1]).num_done == 1
    assert desk.search("honey of bees").hits[0].text == FACTS[1]


def test_a_deleted_collection_leaves_nothing(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(store="chroma")
    desk.add_and_wait(*FACTS, "x" * 200_000)
    desk.call(contract.DELETE_COLLECTION, contract.CollectionName("papers"))
    assert desk.call(contract.COLLECTIONS).collections == []
    parts = desk.service._parts
    assert parts.store.count("collection-000001") == 0
    for table in ("documents", "chunks", "vectors", "originals", "stale_entries", "stale_generations", "shadows"):
        assert parts.database.read().execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0, table
    assert [p for p in (desk.home / "files").iterdir() if p.is_file()] == []
    with pytest.raises(NotFound):
        desk.search("whales")


def test_collections_are_named_in_any_script(desk: Desk) -> None:
    made = desk.call(contract.CREATE_COLLECTION, contract.CreateCollection("知识库-1", "Ünïcode title"))
    assert (made.name, made.title) == ("知识库-1", "Ünïcode title")
    with pytest.raises(AlreadyExists):
        desk.call(contract.CREATE_COLLECTION, contract.CreateCollection("知识库-1"))
    assert desk.call(contract.CREATE_COLLECTION, contract.CreateCollection("知识库-1", exist_ok=True)) == made
    for wrong in ("", "a b", "a/b", "x" * 65, "a\nb"):
        with pytest.raises(BadRequest):
            desk.call(contract.CREATE_COLLECTION, contract.CreateCollection(wrong))


def test_many_callers_make_one_collection(desk: Desk) -> None:
    threads = [
        threading.Thread(
            target=desk.call, args=(contract.CREATE_COLLECTION, contract.CreateCollection("one", exist_ok=True))
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [c.name for c in desk.call(contract.COLLECTIONS).collections] == ["one"]


def test_a_passage_opens_with_its_neighbours(desk: Desk) -> None:
    desk.add_and_wait(Text("guide.md", "# Guide\n\nFirst step.\n\n## Next\n\nSecond step.\n\n## Last\n\nThird step."))
    hit = desk.search("second step", "keyword", rerank=False, top_k=1).hits[0]
    assert hit.heading == "Guide > Next"
    passage = desk.call(contract.PASSAGE, contract.ChunkId(hit.chunk_id, around=1))
    assert [c.heading for c in [*passage.before, passage.chunk, *passage.after]] == [
        "Guide",
        "Guide > Next",
        "Guide > Last",
    ]
    assert passage.document.name == "guide.md"


def test_a_search_by_the_callers_own_vector(desk: Desk, mesh: InProcess) -> None:
    desk.add_and_wait(*FACTS)
    vector = mesh.call(EMBED, Embed([FACTS[1]])).vectors[0]
    assert desk.search("", "dense", vector=vector).hits[0].text == FACTS[1]
    with pytest.raises(BadRequest, match="256"):
        desk.search("", "dense", vector=np.ones(3, np.float32))


def test_without_the_llm_service_words_still_find(desk: Desk, mesh: InProcess) -> None:
    desk.add_and_wait(*FACTS)

    def gone(_method: object, _request: object) -> None:
        raise Unreachable("nobody answers at tcp://127.0.0.1:7781")

    mesh.before = gone
    hits = desk.search("bees make honey from the sea")
    assert (hits.hits[0].text, hits.hits[0].score_kind) == (FACTS[1], "bm25")
    assert any("by words only" in note for note in hits.notes)
    assert any("not reranked" in note for note in hits.notes)
    with pytest.raises(Unreachable):
        desk.search("honey of bees", "dense")


def test_a_search_without_a_reranker_says_so(desk: Desk, mesh: InProcess) -> None:
    desk.add_and_wait(*FACTS)

    def none(method: object, _request: object) -> None:
        if getattr(method, "name", "") == "llm.rerank":
            raise ModelNotLoaded("no rerank model")

    mesh.before = none
    hits = desk.search("honey of bees")
    assert hits.hits[0].score_kind == "fused"
    assert hits.notes == ["not reranked: no rerank model"]
    num_calls = mesh.calls.count("llm.rerank")
    desk.search("honey of bees")
    assert mesh.calls.count("llm.rerank") == num_calls


@pytest.mark.parametrize(
    "request_",
    [
        contract.Search("papers", " "),
        contract.Search("papers", "x", top_k=0),
        contract.Search("papers", "x" * 30_000),
        contract.ListDocuments("papers", limit=0),
    ],
)
def test_a_wrong_field_is_refused(desk: Desk, request_: object) -> None:
    desk.add_and_wait(*FACTS)
    method = contract.SEARCH if isinstance(request_, contract.Search) else contract.DOCUMENTS
    with pytest.raises(BadRequest):
        desk.call(method, request_)


def test_an_overlap_as_large_as_the_chunk_is_refused(desk: Desk) -> None:
    with pytest.raises(BadRequest, match="overlap"):
        desk.add("some text", chunking=Chunking(100, 100))
    assert desk.call(contract.COLLECTIONS).collections == []


def test_a_page_of_documents(desk: Desk) -> None:
    desk.add_and_wait(*(Text(f"note {i:02}", f"text number {i}") for i in range(12)))
    desk.add_and_wait(Text("empty", "   "))
    page = desk.documents(limit=5)
    assert (page.total, page.documents[0].name, page.documents[0].status) == (13, "empty", "failed")
    assert [d.name for d in desk.documents(keyword="NOTE 1").documents] == ["note 11", "note 10"]
    assert desk.documents(status="failed").total == 1
    assert len(desk.documents(offset=10, limit=5).documents) == 3


def test_an_empty_collection_has_no_hits(desk: Desk) -> None:
    desk.call(contract.CREATE_COLLECTION, contract.CreateCollection("papers"))
    for mode in ("dense", "keyword", "hybrid"):
        assert desk.search("anything", mode).hits == []


def test_chats_are_kept(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk()
    turn = Turn("c1", "What do bees make?", "Honey.", "papers", 5.0, {"citations": ["x"], "score": 0.5})
    desk.call(contract.SAVE_TURN, turn)
    desk.call(contract.SAVE_TURN, turn)
    desk.call(contract.SAVE_TURN, Turn("c1", "And wasps?", "Nothing.", "papers"))
    desk.call(contract.SAVE_TURN, Turn("c2", "Hello", "Hi"))
    desk.close()
    desk = open_desk()
    assert [t.question for t in desk.call(contract.CHAT, contract.ChatId("c1")).turns] == [turn.question, "And wasps?"]
    assert desk.call(contract.CHAT, contract.ChatId("c1")).turns[0] == turn
    assert [(c.id, c.title, c.num_turns) for c in desk.call(contract.CHATS).chats] == [
        ("c2", "Hello", 1),
        ("c1", turn.question, 2),
    ]
    desk.call(contract.DELETE_CHAT, contract.ChatId("c1"))
    assert desk.call(contract.CHAT, contract.ChatId("c1")).turns == []
    with pytest.raises(NotFound):
        desk.call(contract.DELETE_CHAT, contract.ChatId("c1"))


def test_a_data_directory_has_one_owner(open_desk: Callable[..., Desk]) -> None:
    open_desk()
    with pytest.raises(Locked, match=r"in use by process \d+"):
        open_desk()


def test_the_note_says_what_there_is(desk: Desk) -> None:
    desk.add_and_wait(*FACTS)
    assert desk.service.note() == "1 collection, 3 chunks, memory"


def test_a_collection_whose_model_is_gone_says_so_and_is_searched_by_words(desk: Desk) -> None:
    desk.add_and_wait(FACTS[0])
    with desk.service._parts.database.write() as tx:
        tx.execute("UPDATE collections SET model = 'other-model'")
    job = desk.add_and_wait(FACTS[1])
    assert job.status == "failed"
    assert "'other-model' is on this machine" in job.failures[0].reason
    assert job.failures[0].fix.endswith("or ragq reindex papers gives the collection another model")
    with pytest.raises(NotFound, match="other-model"):
        desk.search("whales", "dense")
    hits = desk.search("whales")
    assert hits.hits[0].text == FACTS[0]
    assert "other-model" in hits.notes[0]


def test_a_new_home_has_the_handbook_once(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(sample=True)
    job = desk.wait(desk.call(contract.JOBS).jobs[0])
    assert (job.num_failed, job.failures[0].name) == (1, "scan-without-text.pdf")
    assert desk.search("port of the proxy", "keyword", collection="handbook").hits
    desk.call(contract.DELETE_COLLECTION, contract.CollectionName("handbook"))
    desk.close()
    assert open_desk(sample=True).call(contract.COLLECTIONS).collections == []


def test_an_emptied_collection_may_change_its_model(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(store="chroma")
    desk.add_and_wait(FACTS[0])
    desk.call(contract.DELETE_DOCUMENT, contract.DocumentId(desk.documents().documents[0].id))
    with desk.service._parts.database.write() as tx:
        tx.execute("UPDATE collections SET model = 'other-model', dimension = 8")
    desk.service._parts.store.drop("collection-000001")
    desk.service._parts.store.create("collection-000001")
    desk.service._parts.store.upsert("collection-000001", ["old"], np.ones((1, 8), np.float32))
    assert desk.add_and_wait(FACTS[1]).num_done == 1
    assert desk.search("honey of bees", "dense").hits[0].text == FACTS[1]
