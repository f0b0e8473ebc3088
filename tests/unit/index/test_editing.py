"""Is what a person changes in a chunk found by the next search, and does it survive whatever comes?"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clients import index as contract
from clients.editing import (
    EDIT_CHUNK,
    MERGE_CHUNKS,
    RECUT_DOCUMENT,
    REVERT_CHUNK,
    SPLIT_CHUNK,
    SWITCH_CHUNKS,
    EditChunk,
    MergeChunks,
    RevertChunk,
    SplitChunk,
    SwitchChunks,
)
from clients.errors import BadRequest, NotFound, RagqError, Unreachable
from clients.index import Chunk, Chunking
from services.index.chunking import of_record
from services.index.migrations import FIRST
from services.index.schema import Database
from tests.unit.index.conftest import Desk, InProcess

TEXT = "\n\n".join(
    (
        "Herons stand in shallow water and wait for fish.",
        "Bridges carry trains across the river all night.",
        "Bakers knead dough before the sun comes up.",
    )
)


@pytest.fixture(params=["memory", "chroma"])
def desk(request: pytest.FixtureRequest, open_desk: Callable[..., Desk]) -> Desk:
    return written(open_desk(store=request.param))


def written(desk: Desk) -> Desk:
    desk.add_and_wait(contract.Text("birds.txt", TEXT), chunking=Chunking(60, 0))
    assert len(chunks(desk)) == 3
    return desk


def chunks(desk: Desk) -> list[Chunk]:
    (document,) = desk.documents().documents
    found: contract.Chunks = desk.call(contract.CHUNKS, contract.ListChunks(document.id))
    return found.chunks


def texts(desk: Desk) -> list[str]:
    return [chunk.text for chunk in chunks(desk)]


def hits(desk: Desk, query: str, mode: contract.Mode = "hybrid") -> list[str]:
    return [hit.text for hit in desk.search(query, mode, rerank=False).hits]


def is_sound(desk: Desk) -> bool:
    from tests.unit.index.test_checkup import checked

    return checked(desk, probe=True).findings == []


def edit(desk: Desk, id_: str, text: str) -> Chunk:
    chunk: Chunk = desk.call(EDIT_CHUNK, EditChunk(id_, text))
    return chunk


@pytest.mark.parametrize("mode", ["dense", "keyword", "hybrid"])
def test_an_edited_chunk_is_found_by_its_new_words_only(desk: Desk, mode: contract.Mode) -> None:
    first = chunks(desk)[0]
    changed = edit(desk, first.id, "  Pelicans carry fish in their beaks.  ")
    assert (changed.text, changed.is_edited, changed.position) == ("Pelicans carry fish in their beaks.", True, 0)
    assert changed.id != first.id
    assert hits(desk, "pelicans beaks", mode)[0] == changed.text
    assert all("Herons" not in text for text in hits(desk, "herons shallow water", mode))
    assert is_sound(desk)


def test_the_former_id_still_opens_the_chunk_and_cannot_change_it(desk: Desk) -> None:
    first = chunks(desk)[0]
    changed = edit(desk, first.id, "Pelicans.")
    passage: contract.Passage = desk.call(contract.PASSAGE, contract.ChunkId(first.id, 1))
    assert (passage.chunk, [c.position for c in passage.after]) == (changed, [1])
    with pytest.raises(BadRequest, match="meanwhile"):
        edit(desk, first.id, "Storks.")


def test_reverting_gives_back_the_text_and_the_search(desk: Desk) -> None:
    first = chunks(desk)[0]
    twice = edit(desk, edit(desk, first.id, "Pelicans.").id, "Storks.")
    back: Chunk = desk.call(REVERT_CHUNK, RevertChunk(twice.id))
    assert (back.text, back.is_edited) == (first.text, False)
    assert hits(desk, "herons shallow", "keyword") == [first.text]
    assert edit(desk, back.id, "Pelicans.").text == "Pelicans."
    assert is_sound(desk)


def test_merging_joins_neighbours_and_keeps_the_order(desk: Desk) -> None:
    one, two, three = chunks(desk)
    merged: Chunk = desk.call(MERGE_CHUNKS, MergeChunks(one.id))
    assert merged.text == f"{one.text}\n{two.text}"
    assert (merged.start, merged.end) == (one.start, two.end)
    assert [(c.position, c.text) for c in chunks(desk)] == [(0, merged.text), (1, three.text)]
    for former in (one, two):
        passage: contract.Passage = desk.call(contract.PASSAGE, contract.ChunkId(former.id))
        assert passage.chunk.id == merged.id
    assert hits(desk, "bridges trains", "keyword") == [merged.text]
    (document,) = desk.documents().documents
    assert document.num_chunks == 2
    assert is_sound(desk)


def test_what_two_chunks_repeat_of_each_other_is_merged_once(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk()
    sentences = "Alpha comes first here. Beta comes second here. Gamma comes third here. Delta comes fourth here."
    desk.add_and_wait(sentences, chunking=Chunking(50, 26))
    first, second = chunks(desk)[:2]
    assert second.start < first.end
    merged: Chunk = desk.call(MERGE_CHUNKS, MergeChunks(first.id))
    assert merged.text == sentences[first.start : second.end]


def test_the_last_chunk_has_nothing_to_merge_with(desk: Desk) -> None:
    with pytest.raises(BadRequest, match="last"):
        desk.call(MERGE_CHUNKS, MergeChunks(chunks(desk)[-1].id))


def test_splitting_makes_two_chunks_with_exact_offsets(desk: Desk) -> None:
    two = chunks(desk)[1]
    at = two.text.index("across")
    parts: contract.Chunks = desk.call(SPLIT_CHUNK, SplitChunk(two.id, at))
    head, tail = parts.chunks
    assert (head.text, tail.text) == ("Bridges carry trains", "across the river all night.")
    assert TEXT[head.start : head.end] == head.text
    assert TEXT[tail.start : tail.end] == tail.text
    assert [c.position for c in chunks(desk)] == [0, 1, 2, 3]
    assert texts(desk)[1:3] == [head.text, tail.text]
    assert hits(desk, "across the river", "keyword") == [tail.text]
    assert is_sound(desk)
    with pytest.raises(BadRequest, match="recut"):
        desk.call(REVERT_CHUNK, RevertChunk(tail.id))


@pytest.mark.parametrize("at", [-3, 0, 10_000])
def test_a_split_that_leaves_nothing_is_refused(desk: Desk, at: int) -> None:
    with pytest.raises(BadRequest, match="at"):
        desk.call(SPLIT_CHUNK, SplitChunk(chunks(desk)[0].id, at))
    assert len(chunks(desk)) == 3


@pytest.mark.parametrize("mode", ["dense", "keyword", "hybrid"])
def test_a_chunk_that_is_switched_off_is_not_found_until_it_is_on_again(desk: Desk, mode: contract.Mode) -> None:
    first = chunks(desk)[0]
    switched: contract.Chunks = desk.call(SWITCH_CHUNKS, SwitchChunks([first.id], is_enabled=False))
    assert [c.is_enabled for c in switched.chunks] == [False]
    assert first.text not in hits(desk, "herons shallow water", mode)
    assert is_sound(desk)
    edited = edit(desk, first.id, "Herons wade.")
    assert edited.text not in hits(desk, "herons wade", mode)
    desk.call(SWITCH_CHUNKS, SwitchChunks([edited.id], is_enabled=True))
    assert hits(desk, "herons wade", mode)[0] == edited.text
    assert is_sound(desk)


def test_recutting_takes_back_everything(desk: Desk) -> None:
    before = [(c.id, c.text, c.position) for c in chunks(desk)]
    edit(desk, chunks(desk)[0].id, "Pelicans.")
    desk.call(MERGE_CHUNKS, MergeChunks(chunks(desk)[1].id))
    (document,) = desk.documents().documents
    desk.wait(desk.call(RECUT_DOCUMENT, contract.DocumentId(document.id)))
    assert [(c.id, c.text, c.position) for c in chunks(desk)] == before
    assert is_sound(desk)


def test_changes_survive_a_restart_and_a_store_that_was_lost(open_desk: Callable[..., Desk]) -> None:
    desk = written(open_desk())
    edit(desk, chunks(desk)[0].id, "Pelicans carry fish.")
    desk.call(SWITCH_CHUNKS, SwitchChunks([chunks(desk)[1].id], is_enabled=False))
    now = texts(desk)
    desk.close()
    again = open_desk()
    assert texts(again) == now
    assert hits(again, "pelicans", "keyword") == ["Pelicans carry fish."]
    assert hits(again, "bridges", "keyword") == []
    assert is_sound(again)


def test_an_edit_without_an_embedding_model_changes_nothing(desk: Desk, mesh: InProcess) -> None:
    def away(*_: object) -> None:
        raise Unreachable("the LLM service is away")

    mesh.before = away
    with pytest.raises(Unreachable):
        edit(desk, chunks(desk)[0].id, "Pelicans.")
    mesh.before = lambda *_: None
    assert texts(desk)[0].startswith("Herons")
    assert is_sound(desk)


def test_empty_and_endless_texts_and_unknown_chunks_are_refused(desk: Desk) -> None:
    with pytest.raises(BadRequest, match="empty"):
        edit(desk, chunks(desk)[0].id, "  \n ")
    with pytest.raises(BadRequest, match="characters"):
        edit(desk, chunks(desk)[0].id, "x" * 20_001)
    with pytest.raises(NotFound):
        edit(desk, "nobody", "text")


WHAT = st.sampled_from(["edit", "merge", "split", "off", "on", "revert"])
STEPS = st.lists(st.tuples(WHAT, st.integers(0, 9), st.integers(0, 60)), max_size=12)


@pytest.fixture
def plain(open_desk: Callable[..., Desk]) -> Desk:
    return written(open_desk())


@given(STEPS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_series_of_changes_leaves_a_sound_index(plain: Desk, steps: list[tuple[str, int, int]]) -> None:
    desk = plain
    (document,) = desk.documents().documents
    desk.wait(desk.call(RECUT_DOCUMENT, contract.DocumentId(document.id)))
    for what, which, at in steps:
        now = chunks(desk)
        change(desk, what, now[which % len(now)], at)
    now = chunks(desk)
    assert [c.position for c in now] == list(range(len(now)))
    assert desk.documents().documents[0].num_chunks == len(now)
    assert is_sound(desk)
    # Chunks of the same text are one hit, and a text without a word none.
    there = {chunk.text for chunk in now if chunk.is_enabled}
    for text in {chunk.text for chunk in now if any(map(str.isalnum, chunk.text))}:
        assert (text in hits(desk, text, "keyword")) == (text in there)


def change(desk: Desk, what: str, chunk: Chunk, at: int) -> None:
    try:
        if what == "edit":
            edit(desk, chunk.id, f"Changed number {at} of the text.")
        elif what == "merge":
            desk.call(MERGE_CHUNKS, MergeChunks(chunk.id))
        elif what == "split":
            desk.call(SPLIT_CHUNK, SplitChunk(chunk.id, at))
        elif what == "revert":
            desk.call(REVERT_CHUNK, RevertChunk(chunk.id))
        else:
            desk.call(SWITCH_CHUNKS, SwitchChunks([chunk.id], is_enabled=what == "on"))
    except BadRequest:
        pass
    except RagqError as error:  # pragma: no cover - says which change did it
        raise AssertionError(f"{what} {chunk} {at}") from error


def test_records_of_the_first_schema_are_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    old = sqlite3.connect(path)
    old.executescript(FIRST + "PRAGMA user_version = 1;")
    old.execute("INSERT INTO collections (name, title, created_at) VALUES ('papers', 'Papers', 1.0)")
    old.execute(
        """INSERT INTO documents (id, collection_id, name, media_type, sha256, size_bytes, status, num_chunks, size,
        overlap, by_line, created_at, updated_at)
        VALUES ('d', 1, 'a.txt', 'text/plain', 'x', 1, 'ready', 1, 512, 64, 0, 1, 1)"""
    )
    old.execute("INSERT INTO chunks VALUES (1, 'c', 'd', 0, 'An old text.', 0, 12, 0, '')")
    old.commit()
    old.close()
    database = Database(path)
    row = database.read().execute("SELECT * FROM chunks").fetchone()
    assert (row["text"], row["is_enabled"], row["as_cut"]) == ("An old text.", 1, None)
    document = database.read().execute("SELECT * FROM documents").fetchone()
    assert of_record(document) == Chunking(512, 64, by_line=False, strategy="sentences")
    database.close()
