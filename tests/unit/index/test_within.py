"""Does a search that is limited to some documents find what is best in these, and nothing of the others?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients import editing
from clients import index as contract
from clients.errors import BadRequest
from clients.index import Chunking, Search, Text, Within
from services.index import schema, scopes
from services.index.content import entry_id
from services.index.documents import Incoming
from services.index.entries import Entries
from services.index.filters import Candidate, Filter
from services.index.migrations import MIGRATIONS
from services.index.schema import Database
from services.index.scopes import EVERYTHING, Scopes
from services.index.search import Searcher
from services.index.stores.base import ID_BYTES, Among, Picked, VectorStore
from services.index.stores.exact import ExactStore
from services.index.stores.memory import MemoryStore
from services.index.triggers import DESCRIBED
from services.service import Call
from tests.unit.index.conftest import Desk
from tests.unit.index.test_entries import BY_LINE, FOOTER, Shelves, vector

MODES = ("dense", "keyword", "hybrid")
PDF, PAGE = "application/pdf", "text/html"


@pytest.fixture(params=["memory", "chroma"])
def desk(request: pytest.FixtureRequest, open_desk: Callable[..., Desk]) -> Desk:
    return open_desk(store=request.param)


def fits(within: Within, name: str = "", media_type: str = "", source: str = "", id_: str = "d1") -> bool:
    return bool(Filter(within).chosen([Candidate(id_, name, "ready", media_type, source)]))


@pytest.mark.parametrize(
    ("words", "name", "is_in"),
    [
        (["manual.pdf"], "manual.pdf", True),
        (["Manual.PDF"], "manual.pdf", True),
        (["manual"], "manual.pdf", False),
        (["d1"], "whatever", True),
        (["D1"], "whatever", True),
        (["reports/*.pdf"], "reports/2024/may.pdf", True),
        (["reports/*.pdf"], "old/reports/may.pdf", False),
        (["*.pdf", "notes.md"], "notes.md", True),
        (["page ?"], "page 7", True),
        (["page ?"], "page 17", False),
        (["[draft] *"], "[Draft] plan.docx", True),
        (["[draft] *"], "d plan.docx", False),
        (["What is RAG?"], "What is RAG?", True),
        (["re\u0301sume\u0301.txt"], "r\u00e9sum\u00e9.txt", True),
        (["报告*"], "报告（终稿）.docx", True),
        (["*a" * 30 + "*b"], "a" * 4000, False),
    ],
)
def test_a_document_is_named_by_id_name_or_pattern(words: list[str], name: str, is_in: bool) -> None:
    assert fits(Within(words), name) is is_in


@pytest.mark.parametrize(
    ("wanted", "source", "is_in"),
    [
        ("example.org", "https://example.org/guide", True),
        ("example.org", "http://docs.example.org/", True),
        ("example.org", "https://badexample.org/", False),
        ("https://example.org", "https://docs.example.org/", False),
        ("https://example.org/guide", "https://example.org/guide", True),
        ("https://example.org/guide/", "https://example.org/guide", True),
        ("https://example.org/guide", "https://example.org/guide/install?v=2", True),
        ("https://example.org/guide", "https://example.org/guide?v=2", True),
        ("https://example.org/guide", "https://example.org/guidelines", False),
        ("https://example.org/guide", "http://example.org/guide", False),
        ("Example.ORG/guide", "http://example.org/guide/a", True),
        ("example.org:8080", "http://example.org:8080/a", True),
        ("example.org", "http://example.org:8080/a", False),
        ("https://example.org/指南", "https://example.org/%E6%8C%87%E5%8D%97/a", True),
        ("example.org", "", False),
    ],
)
def test_a_page_is_named_by_its_host_or_what_it_is_below(wanted: str, source: str, is_in: bool) -> None:
    assert fits(Within(sources=[wanted]), source=source) is is_in


@pytest.mark.parametrize(
    ("kind", "name", "media_type", "is_in"),
    [
        ("pdf", "a.PDF", "", True),
        (".pdf", "a.pdf", PDF, True),
        ("*.pdf", "a.pdf", PDF, True),
        ("pdf", "The title of a paper", PDF, True),
        ("pdf", "pdf", "text/plain", False),
        ("html", "The title of a page", PAGE, True),
        ("txt", "a text that was typed", "text/plain", False),
        ("text/plain", "a text that was typed", "text/plain; charset=utf-8", True),
        ("image/*", "scan", "image/png", True),
        ("image/*", "a.png", "", False),
        ("tar.gz", "a.tar.gz", "", True),
    ],
)
def test_a_kind_is_an_ending_or_a_media_type(kind: str, name: str, media_type: str, is_in: bool) -> None:
    assert fits(Within(kinds=[kind]), name, media_type) is is_in


def test_every_field_that_says_something_has_to_fit() -> None:
    within = Within(["*.pdf"], ["example.org"], ["pdf"])
    assert fits(within, "a.pdf", PDF, "https://example.org/a.pdf")
    assert not fits(within, "a.pdf", PDF)
    assert not fits(within, "a.md", PDF, "https://example.org/a.pdf")


@pytest.mark.parametrize(
    ("within", "message"),
    [
        (Within([" "]), r"within.documents\[0\]: is empty"),
        (Within(["a", "x" * 4001]), r"within.documents\[1\]: has 4001 characters; the limit is 4000"),
        (Within(["a"] * 10_001), "within.documents: 10001 are given; the limit is 10000"),
        (Within([f"{n}*" for n in range(101)]), "patterns in within.documents: 101 are given"),
        (Within(sources=["two words"]), "within.sources: 'two words' is neither a URL nor a host"),
        (Within(sources=["ftp://example.org"]), "is neither a URL nor a host"),
        (Within(kinds=["."]), "within.kinds: '.' is no kind of document"),
        (Within(kinds=["text/"]), "is no kind of document"),
    ],
)
def test_a_limit_that_means_nothing_is_refused_with_what_to_give(desk: Desk, within: Within, message: str) -> None:
    desk.add_and_wait("one text")
    with pytest.raises(BadRequest, match=message) as refused:
        desk.search("one", within=within)
    assert refused.value.help


def names(desk: Desk, query: str, within: Within | None, **more: Any) -> list[str]:
    return [hit.document for hit in desk.search(query, within=within, **{"rerank": False, **more}).hits]


@pytest.mark.parametrize("mode", MODES)
def test_the_best_of_the_chosen_documents_are_found_however_many_others_are_better(desk: Desk, mode: Any) -> None:
    better = [Text(f"better {n}", f"the wing gives lift, {n}") for n in range(150)]
    desk.add_and_wait(*better, Text("far.txt", "a wing"), Text("farther.txt", "wing of a house and of a bird"))
    assert "far.txt" not in names(desk, "the wing gives lift", None, mode=mode)
    assert names(desk, "the wing gives lift", Within(["far*"]), mode=mode) == ["far.txt", "farther.txt"]
    assert names(desk, "the wing gives lift", Within(["FAR.txt"]), mode=mode, rerank=True) == ["far.txt"]
    assert len(names(desk, "the wing gives lift", Within(["better *"]), mode=mode, top_k=120)) == 120


def test_without_a_limit_everything_is_searched(desk: Desk) -> None:
    desk.add_and_wait(Text("a", "one text"), Text("b", "one more text"))
    for within in (None, Within(), Within(["*"])):
        found = desk.search("text", within=within)
        assert (sorted(hit.document for hit in found.hits), found.notes) == (["a", "b"], [])


def test_the_copy_in_a_chosen_document_is_shown_and_only_those_are_counted(desk: Desk) -> None:
    desk.add_and_wait(*(Text(f"{n}.txt", f"{FOOTER}\n# {n}") for n in range(5)), chunking=BY_LINE)
    (hit, *_) = desk.search(FOOTER, within=Within(["1.txt"]), top_k=1, copies=5).hits
    assert (hit.document, hit.num_copies) == ("1.txt", 1)
    found = desk.search(FOOTER, within=Within(["1.txt", "3.txt"]), copies=5).hits
    assert {hit.document for hit in found} == {"1.txt", "3.txt"}
    assert found[0].num_copies == 2
    ids = {document.name: document.id for document in desk.documents().documents}
    assert names(desk, FOOTER, Within(["1.txt", "3.txt"]), without=[ids["3.txt"]], top_k=1) == ["1.txt"]


def test_a_section_is_that_of_a_chosen_document(desk: Desk) -> None:
    same = "The same sentence stands in both of them."
    parents = Chunking(60, 0, strategy="parents")
    for name, other in (("one", "Swans fly."), ("two", "Frogs jump.")):
        desk.add_and_wait(Text(f"{name}.md", f"# Head\n\n{same}\n\n{other}"), chunking=parents)
    for name, other in (("one.md", "Swans fly."), ("two.md", "Frogs jump.")):
        (hit,) = desk.search(same, "keyword", within=Within([name]), rerank=False).hits
        assert hit.document == name
        assert hit.found.endswith(same)
        assert hit.text.endswith(other)


def test_sections_are_told_apart_as_in_the_chosen_document(desk: Desk) -> None:
    first, second = "Zebras graze on the plain.", "Zebras drink at the river."
    between = "\n\n".join(f"Nothing is said of them in line {n}." for n in range(12))
    parents = Chunking(30, 0, strategy="parents")
    desk.add_and_wait(Text("apart.txt", f"{first}\n\n{between}\n\n{second}"), chunking=parents)
    desk.add_and_wait(Text("together.txt", f"{first}\n\n{second}"), chunking=parents)
    found = {name: desk.search("zebras", "keyword", within=Within([name]), rerank=False).hits
             for name in ("apart.txt", "together.txt")}  # fmt: skip
    assert sorted(hit.found for hit in found["apart.txt"]) == [second, first]
    assert [hit.text for hit in found["together.txt"]] == [f"{first}\n\n{second}"]


def test_what_was_asked_for_and_is_not_searched_is_told(desk: Desk) -> None:
    desk.add_and_wait(Text("a.txt", "one text"), Text("b.txt", "one more text"))
    desk.upload("empty.txt", b" ")
    found = desk.search("text", within=Within(["a.txt", "gone.txt", "*.doc"]))
    assert [hit.document for hit in found.hits] == ["a.txt"]
    assert found.notes == ["the collection has no document 'gone.txt', '*.doc'"]
    found = desk.search("text", within=Within(["a.txt", "empty.txt"]))
    assert found.notes == ["not searched, because not ready: 'empty.txt (failed)'"]
    found = desk.search("text", within=Within([str(n) for n in range(5)]))
    assert (found.hits, found.timings, found.model) == ([], {}, "")
    assert found.notes == [
        "the collection has no document '0', '1', '2' and 2 more",
        "no document fits what the search is limited to, so nothing was searched",
    ]


def test_chunks_that_are_switched_off_stay_out(desk: Desk) -> None:
    desk.add_and_wait(Text("a.txt", "lift"), Text("b.txt", "lift\nand more"), chunking=BY_LINE)
    here = Within(["a.txt"])
    (hit,) = desk.search("lift", within=here).hits
    desk.call(editing.SWITCH_CHUNKS, editing.SwitchChunks([hit.chunk_id], is_enabled=False))
    assert names(desk, "lift", here) == []
    assert names(desk, "lift", Within(["*.txt"]), top_k=1) == ["b.txt"]
    desk.call(editing.SWITCH_CHUNKS, editing.SwitchChunks([hit.chunk_id], is_enabled=True))
    assert names(desk, "lift", here) == ["a.txt"]


def test_a_changed_collection_is_searched_as_it_is_now(desk: Desk) -> None:
    desk.add_and_wait(Text("a.txt", "lift"), Text("other", "text"))
    here = Within(["*.txt"])
    assert names(desk, "lift", here) == ["a.txt"]
    desk.add_and_wait(Text("b.txt", "lift of a wing"))
    assert names(desk, "lift", here) == ["a.txt", "b.txt"]
    (hit, _) = desk.search("lift", within=here, rerank=False).hits
    desk.call(editing.EDIT_CHUNK, editing.EditChunk(hit.chunk_id, "zebras"))
    assert [hit.text for hit in desk.search("zebras", within=here, top_k=1).hits] == ["zebras"]
    desk.call(contract.DELETE_DOCUMENT, contract.DocumentId(hit.document_id))
    assert names(desk, "lift", here) == ["b.txt"]


def test_a_page_that_somebody_gave_by_hand_is_of_no_source_any_more(desk: Desk) -> None:
    desk.add_and_wait(Text("page", "lift"), Text("other", "text"))
    database = desk.service._parts.database
    with database.write() as tx:
        tx.execute("UPDATE documents SET source = 'https://example.org/a' WHERE name = 'page'")
    here = Within(sources=["example.org"])
    assert names(desk, "lift", here) == ["page"]
    with database.write() as tx:
        tx.execute("UPDATE documents SET source = '' WHERE name = 'page'")
    assert names(desk, "lift", here) == []


def test_the_same_limit_is_looked_up_once_until_the_collection_changes(desk: Desk) -> None:
    desk.add_and_wait(Text("a.txt", "lift"), Text("b.txt", "wing"), Text("other", "text"))
    parts = desk.service._parts
    found = Scopes(parts.database, parts.catalog.documents.entries)
    shelf = parts.catalog.shelf("papers").id
    first = found.of(shelf, Within(["*.txt"]))
    assert found.of(shelf, Within(["*.txt"])) is first
    assert found.of(shelf, Within()) is EVERYTHING
    assert found.of(shelf, Within(["*"])).entries is None
    desk.add_and_wait(Text("one more", "words"))
    second = found.of(shelf, Within(["*.txt"]))
    assert second is not first
    assert second.entries is first.entries
    desk.add_and_wait(Text("c.txt", "tail"))
    assert len(cast("Among", found.of(shelf, Within(["*.txt"])).entries)) == 3


def test_what_is_kept_for_limits_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.add_and_wait(*(Text(f"{n}.txt", f"text {n}") for n in range(6)))
    parts = desk.service._parts
    found = Scopes(parts.database, parts.catalog.documents.entries)
    shelf = parts.catalog.shelf("papers").id

    def ask(number: int) -> Among:
        entries = found.of(shelf, Within([f"{number}.txt"])).entries
        assert entries is not None
        return entries

    monkeypatch.setattr(scopes, "MAX_KEPT", 3)
    first = ask(0)
    for number in (1, 2, 0, 3):
        ask(number)
    assert ask(0) is first
    assert len(found._kept) == 3
    monkeypatch.setattr(scopes, "MAX_BYTES", 1000)
    first.keep(Picked(holder := object(), 0, list(first.ids), np.zeros((64, 4), np.float32)))
    assert first.picked(holder) is not None
    ask(4)
    assert [key[1] for key in found._kept] == [frozenset({"4.txt"})]
    for pattern, num_kept in (("*", 2), ("?.txt", 1)):
        assert found.of(shelf, Within([pattern])).num_bytes == 6 * ID_BYTES
        assert len(found._kept) == num_kept


def test_records_of_the_former_schema_count_changes_of_what_a_limit_looks_at(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", MIGRATIONS[: MIGRATIONS.index(DESCRIBED)])
        old = Database(path)
        with old.write() as tx:
            tx.execute("INSERT INTO collections (name, title, created_at) VALUES ('papers', 'Papers', 1)")
            tx.execute(
                """INSERT INTO documents (id, collection_id, name, media_type, sha256, size_bytes, status, size,
                overlap, by_line, created_at, updated_at) VALUES ('d', 1, 'page', '', '', 1, 'ready', 9, 0, 0, 1, 1)"""
            )
        old.close()
    database = Database(path)
    found, here = Scopes(database, Entries(database)), Within(sources=["example.org"])
    assert found.of(1, here).is_empty
    with database.write() as tx:
        tx.execute("UPDATE documents SET source = 'https://example.org/a'")
    assert found.of(1, here).documents == {"d"}
    database.close()


# -- against brute force -----------------------------------------------------------------------------

CONTENTS = [f"{'common ' * (1 + n % 3)}word{n}{'x' * n}" for n in range(12)]
contents = st.lists(st.sampled_from(CONTENTS), min_size=1, max_size=5)
folders = st.sampled_from(["a", "b", "c"])
limits = st.builds(
    Within, st.lists(st.sampled_from(["a/*", "b/*", "*/0", "*1", "c/2", "gone"]), max_size=3), st.just([]), st.just([])
)
steps = st.lists(
    st.one_of(st.tuples(folders, contents), st.integers(0, 9), st.floats(0, 0.99), limits), min_size=3, max_size=14
)


class Library(Shelves):
    """A collection that is searched and, beside it, by looking at everything."""

    def __init__(self, home: Path, store: VectorStore) -> None:
        super().__init__(home, store)
        self.store.create(self.shelf.store_key)
        nobody: Any = None
        self.num_put = 0
        self.searcher = Searcher(self.catalog, self.store, self.keywords, nobody, lambda: 0.0)

    def put(self, folder: str, texts: list[str]) -> None:
        self.add(f"{folder}/{self.num_put}", texts)
        self.num_put += 1

    def switch_off(self, share: float) -> None:
        keys = [row[0] for row in self.database.read().execute("SELECT key FROM chunks ORDER BY key")]
        if keys:
            with self.database.write() as tx:
                key = keys[int(share * len(keys))]
                tx.execute("UPDATE chunks SET is_enabled = 0 WHERE key = ?", (key,))
                tx.execute("INSERT OR IGNORE INTO stale_entries SELECT 1, entry FROM chunks WHERE key = ?", (key,))

    def inside(self, within: Within) -> list[tuple[str, str]]:
        """Document and text of each chunk that may be found."""
        rows = self.database.read().execute(
            """SELECT d.id, d.name, c.text FROM chunks c JOIN documents d ON d.id = c.document_id WHERE c.is_enabled"""
        )
        return [(name, text) for id_, name, text in rows if fits(within, name, id_=id_)]

    def look(self, within: Within, top_k: int) -> None:
        inside = self.inside(within)
        texts = {text for _, text in inside}
        question = vector("a question")
        near = sorted(texts, key=lambda text: -float(cosine(vector(text), question)))
        self._compare(
            Search("papers", "", top_k, "dense", rerank=False, vector=question, within=within), near[:top_k], inside
        )
        bm25 = {match.id: match.score for match in self.keywords.of(self.shelf.key).search("common", 1000)}
        found = self.searcher.search(Search("papers", "common", top_k, "keyword", rerank=False, within=within), call())
        best = sorted((bm25[entry_id(text, "")] for text in texts), reverse=True)[:top_k]
        assert [hit.score for hit in found.hits] == pytest.approx(best)
        assert {(hit.document, hit.text) for hit in found.hits} <= set(inside)

    def _compare(self, request: Search, wanted: list[str], inside: list[tuple[str, str]]) -> None:
        found = self.searcher.search(request, call()).hits
        assert [hit.text for hit in found] == wanted
        for hit in found:
            assert (hit.document, hit.text) in inside
            assert hit.num_copies == [text for _, text in inside].count(hit.text)


def call() -> Call:
    return Call(float("inf"))


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("is_exact", [False, True])
def test_a_limited_search_finds_what_looking_at_all_finds_whatever_comes_and_goes(is_exact: bool) -> None:
    @settings(max_examples=40, deadline=None)
    @given(steps, st.integers(1, 4), limits)
    def check(steps: list[Any], top_k: int, last: Within) -> None:
        # Threads of tantivy may write down their files once more after the writer was closed.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
            library = Library(Path(home), ExactStore(MemoryStore()) if is_exact else MemoryStore())
            for step in [*steps, last]:
                match step:
                    case (folder, texts):
                        library.put(folder, texts)
                    case int():
                        library.delete(step)
                        library.publisher.sweep()
                    case float():
                        library.switch_off(step)
                        library.publisher.sweep()
                    case _:
                        library.look(step, top_k)
            library.close()

    check()


def test_a_document_on_its_way_is_not_searched(tmp_path: Path) -> None:
    library = Library(tmp_path, MemoryStore())
    library.put("a", [CONTENTS[0]])
    with library.database.write() as tx:
        library.catalog.documents.take(tx, library.shelf.id, "papers", Incoming("a/new", "", "new", 1), Chunking())
    found = library.searcher.search(Search("papers", "common", mode="keyword", within=Within(["a/*"])), call())
    assert len(found.hits) == 1
    assert found.notes[0] == "not searched, because not ready: 'a/new (queued)'"
    library.close()
