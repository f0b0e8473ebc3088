"""Do equal chunks share one entry in the stores, and is every document with them still found?"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.editing import EDIT_CHUNK, SWITCH_CHUNKS, EditChunk, SwitchChunks
from clients.errors import BadRequest
from clients.index import CHUNKS, Chunking, ListChunks, Text
from services.index.catalog import Catalog, Shelf
from services.index.chunks import Piece
from services.index.content import entry_id
from services.index.documents import Incoming
from services.index.entries import Entry
from services.index.keyword import KeywordIndexes
from services.index.migrations import MIGRATIONS
from services.index.publishing import Publisher
from services.index.schema import Database
from services.index.stores.base import VectorStore
from services.index.stores.chroma import ChromaStore
from services.index.stores.memory import MemoryStore
from tests.unit.index.conftest import Desk
from tests.unit.index.test_checkup import checked

DIMENSION = 64
BY_LINE = Chunking(30, 0, by_line=True)
FOOTER = "All rights reserved by Acme."


@pytest.fixture(params=["memory", "chroma"])
def desk(request: pytest.FixtureRequest, open_desk: Callable[..., Desk]) -> Desk:
    return open_desk(store=request.param)


def held(desk: Desk) -> set[str]:
    parts = desk.service._parts
    key = parts.catalog.shelf("papers").key
    assert parts.store.ids(key) == parts.keywords.of(key).ids()
    return parts.store.ids(key)


def of_document(desk: Desk, name: str) -> list[str]:
    (document,) = (d for d in desk.documents().documents if d.name == name)
    return [chunk.id for chunk in desk.call(CHUNKS, ListChunks(document.id)).chunks]


def names(desk: Desk, query: str, **more: Any) -> list[str]:
    return [hit.document for hit in desk.search(query, rerank=False, **more).hits]


def test_equal_chunks_are_one_entry_and_one_hit(desk: Desk) -> None:
    desk.add_and_wait(*(Text(f"{n}.txt", f"{FOOTER}\n# {n}") for n in range(3)), chunking=BY_LINE)
    assert entry_id(FOOTER, "") in held(desk)
    (first, *others) = desk.search(FOOTER, top_k=10).hits
    assert (first.text, first.num_copies) == (FOOTER, 3)
    assert all(hit.text != FOOTER for hit in others)


def test_every_document_with_an_equal_chunk_can_be_asked_for(desk: Desk) -> None:
    desk.add_and_wait(*(Text(f"{n}.txt", f"{FOOTER}\n# {n}") for n in range(5)), chunking=BY_LINE)
    assert sorted(names(desk, FOOTER, copies=5, top_k=5)) == [f"{n}.txt" for n in range(5)]
    assert len(names(desk, FOOTER, copies=5, top_k=3)) == 3
    ids = [d.id for d in desk.documents().documents]
    assert len(names(desk, FOOTER, copies=5, top_k=5, without=ids[:3])) >= 2
    (hit, *_) = desk.search(FOOTER, without=ids[:3]).hits
    assert (hit.text, hit.num_copies, hit.document_id in ids[3:]) == (FOOTER, 2, True)
    with pytest.raises(BadRequest, match="copies"):
        desk.search(FOOTER, copies=0)


def test_an_entry_stays_as_long_as_one_chunk_needs_it(desk: Desk) -> None:
    desk.add_and_wait(Text("a", f"{FOOTER}\nOne."), Text("b", f"{FOOTER}\nTwo."), chunking=BY_LINE)
    footers = [of_document(desk, name)[0] for name in "ab"]
    desk.call(SWITCH_CHUNKS, SwitchChunks([footers[0]], is_enabled=False))
    assert entry_id(FOOTER, "") in held(desk)
    assert names(desk, FOOTER, copies=9)[0] == "b"
    desk.call(EDIT_CHUNK, EditChunk(footers[1], "Nothing is reserved."))
    assert entry_id(FOOTER, "") not in held(desk)
    assert entry_id("Nothing is reserved.", "") in held(desk)
    desk.call(SWITCH_CHUNKS, SwitchChunks([footers[0]], is_enabled=True))
    assert names(desk, FOOTER, top_k=1) == ["a"]
    assert checked(desk, probe=True).findings == []


def test_hundreds_of_equal_chunks_hide_no_other(desk: Desk) -> None:
    numbers = np.random.default_rng(0).integers(0, 100_000, (400, 4))
    texts = [Text(f"{n}.txt", f"{FOOTER}\n{' '.join(f'w{i}' for i in row)}") for n, row in enumerate(numbers)]
    desk.add_and_wait(*texts, Text("rivers", "Rivers carry water to the sea."), chunking=BY_LINE)
    assert desk.search("Rivers carry water to the sea.", "dense", rerank=False).hits[0].document == "rivers"
    assert len({hit.text for hit in desk.search(FOOTER, "dense", top_k=20, rerank=False).hits}) == 20
    assert checked(desk, probe=True).findings == []


class Shelves:
    """Records and stores of one collection, and what should be found in it."""

    def __init__(self, home: Path, store: VectorStore | None = None) -> None:
        self.database = Database(home / "records.sqlite")
        self.catalog = Catalog(self.database, lambda: 0.0)
        self.catalog.create("papers", "", exist_ok=True)
        self.store, self.keywords = store or MemoryStore(), KeywordIndexes(home / "keyword")
        self.store.open()
        self.publisher = Publisher(self.catalog, self.store, self.keywords)
        empty = self.catalog.shelf("papers")
        self.shelf: Shelf = self.catalog.set_model(replace(empty, model="m", dimension=DIMENSION))
        self.there: dict[str, list[str]] = {}

    def add(self, name: str, texts: list[str]) -> None:
        documents = self.catalog.documents
        with self.database.write() as tx:
            id_, _ = documents.take(tx, self.shelf.id, "papers", Incoming(name, "text/plain", name, 1), Chunking())
            documents.begin(tx, id_)
            documents.append(tx, id_, 0, [Piece(text, 0, len(text)) for text in texts])
            documents.chunked(tx, id_, len(texts), "text/plain", "en")
        chunks = documents.chunks.next_to_embed(id_, 1000)
        documents.chunks.put_vectors(chunks, np.stack([vector(chunk.text) for chunk in chunks]), 0)
        work = documents.work(id_)
        assert work is not None
        self.publisher.publish(self.shelf, [work])
        self.there[id_] = texts

    def delete(self, number: int) -> None:
        if self.there:
            id_ = sorted(self.there)[number % len(self.there)]
            self.catalog.documents.delete(id_)
            del self.there[id_]

    def check(self) -> None:
        self.publisher.sweep()
        texts = {text for texts in self.there.values() for text in texts}
        wanted = {entry_id(text, "") for text in texts}
        assert self.store.ids(self.shelf.store_key) == self.keywords.of(self.shelf.key).ids() == wanted
        found = self.catalog.documents.entries.copies(self.shelf.id, wanted, 1000)
        for text in texts:
            copies = found[entry_id(text, "")]
            assert len(copies) == copies[0].num_copies == sum(own.count(text) for own in self.there.values())
            near = self.store.query(self.shelf.store_key, vector(text)[None], 1)[0]
            assert near[0].id == entry_id(text, "")

    def close(self) -> None:
        self.store.close()
        self.keywords.close()
        self.database.close()


def vector(text: str) -> np.ndarray:
    return np.random.default_rng(len(text)).standard_normal(DIMENSION).astype(np.float32)


documents_of_few_texts = st.lists(st.sampled_from(["a", "bb", "ccc", "dddd"]), min_size=1, max_size=6)
steps = st.lists(st.one_of(documents_of_few_texts, st.integers(0, 9)), min_size=1, max_size=8)


@settings(max_examples=25, deadline=None)
@given(steps)
def test_the_stores_hold_each_content_once_whatever_comes_and_goes(steps: list[list[str] | int]) -> None:
    # Threads of tantivy may write down their files once more after the writer was closed.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        shelves = Shelves(Path(home))
        for number, step in enumerate(steps):
            shelves.delete(step) if isinstance(step, int) else shelves.add(f"{number}", step)
            if number % 3 == 2:
                shelves.check()
        shelves.check()
        shelves.close()


def test_equal_chunks_do_not_fill_the_graph_of_chroma(tmp_path: Path) -> None:
    shelves = Shelves(tmp_path, ChromaStore(tmp_path / "chroma"))
    shelves.add("footers", ["a"] * 400)
    # A query makes Chroma build its graph; with 400 equal vectors in it, those added then were never found.
    shelves.check()
    shelves.add("others", ["bb", "ccc", "dddd"])
    shelves.check()
    shelves.close()


def test_a_deletion_between_two_slices_takes_nothing_from_the_document_on_its_way(tmp_path: Path) -> None:
    shelves = Shelves(tmp_path)
    shelves.add("first", ["a", "bb"])
    documents = shelves.catalog.documents
    with shelves.database.write() as tx:
        id_, _ = documents.take(tx, shelves.shelf.id, "papers", Incoming("second", "", "second", 1), Chunking())
        documents.begin(tx, id_)
        documents.append(tx, id_, 0, [Piece("a", 0, 1)])
        documents.chunked(tx, id_, 1, "text/plain", "en")
    shelves.delete(0)
    shelves.publisher.sweep()
    assert shelves.store.ids(shelves.shelf.store_key) == {entry_id("a", "")}
    assert shelves.publisher.compare(shelves.shelf) == {}
    documents.fail(id_, "reason", "fix")
    shelves.check()
    shelves.close()


def take_back(path: Path, version: int) -> None:
    """Write records as a former schema had them."""
    old = sqlite3.connect(path.with_suffix(".old"), isolation_level=None)
    old.create_function("entry_id", 2, entry_id, deterministic=True)
    old.executescript("".join(MIGRATIONS[:version]) + f"PRAGMA user_version = {version};")
    old.execute("ATTACH ? AS now", (str(path),))
    tables = "SELECT name FROM {}.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    there = {row[0] for row in old.execute(tables.format("now"))}
    for (table,) in old.execute(tables.format("main")).fetchall():
        if table in there:
            columns = ", ".join(f'"{row[1]}"' for row in old.execute(f"PRAGMA main.table_info({table})"))
            old.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}")
    old.close()
    path.with_suffix(".old").replace(path)


def test_records_and_stores_of_the_former_schema_are_brought_along(
    open_desk: Callable[..., Desk], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk = open_desk(store="chroma")
    desk.add_and_wait(*(Text(f"{n}.txt", f"{FOOTER}\n# {n}") for n in range(3)), chunking=BY_LINE)
    shelf, store = desk.service._parts.catalog.shelf("papers"), desk.service._parts.store
    rows = desk.service._parts.database.read().execute(
        "SELECT c.id, v.vector FROM chunks c JOIN vectors v ON v.chunk_key = c.key"
    )
    ids, vectors = zip(*((row[0], np.frombuffer(row[1], np.float32)) for row in rows), strict=True)
    store.drop(shelf.store_key)
    store.create(shelf.store_key)
    store.upsert(shelf.store_key, ids, np.stack(vectors))
    words = desk.service._parts.keywords
    words.drop(shelf.key)
    words.update(shelf.key, [Entry(id_, FOOTER, vector) for id_, vector in zip(ids, vectors, strict=True)])
    desk.close()
    take_back(tmp_path / "home" / "index" / "records.sqlite", 2)
    desk = open_desk(store="chroma")
    assert f"are brought to schema {len(MIGRATIONS)}" in caplog.text
    assert "4 vectors and 4 keyword entries written anew" in caplog.text
    assert len(held(desk)) == 4
    assert desk.search(FOOTER).hits[0].num_copies == 3
    assert checked(desk, probe=True).findings == []
