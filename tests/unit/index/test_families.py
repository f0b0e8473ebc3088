"""Is a section found by its small chunks, given whole, once, and as it is now?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients import editing
from clients import index as contract
from clients.index import Chunking, Text
from clients.packed import CHUNKS, PackedChunk
from clients.transfer import Export
from services.index import schema
from services.index.archive import lines_of, opened
from services.index.migrations import FAMILIES, MIGRATIONS
from services.index.schema import Database

FLIGHT = "The wing gives lift to it. The tail gives balance to it. The engine gives thrust."
MOORING = "A ship is moored with ropes. The harbour master counts them."
MANUAL = Text("manual.md", f"# Flight\n\n{FLIGHT}\n\n# Mooring\n\n{MOORING}\n")
SMALL = Chunking(32, 8, strategy="parents")


def chunks(desk: Any) -> list[contract.Chunk]:
    (document,) = desk.documents().documents
    return list(desk.call(contract.CHUNKS, contract.ListChunks(document.id)).chunks)


@pytest.mark.parametrize("mode", ["dense", "keyword", "hybrid"])
def test_a_section_is_given_once_for_its_best_chunk(desk: Any, mode: Any) -> None:
    desk.add_and_wait(MANUAL, chunking=SMALL)
    assert len(chunks(desk)) > 4
    hits = desk.search("which part gives balance: the tail, the wing or the engine", mode=mode).hits
    assert len({(hit.start, hit.end) for hit in hits}) == len(hits) <= 2
    best = hits[0]
    assert best.text == f"# Flight\n\n{FLIGHT}"
    assert MANUAL.text[best.start : best.end] == best.text
    assert best.found in best.text
    assert any(chunk.id == best.chunk_id and chunk.text == best.found for chunk in chunks(desk))


def test_top_k_counts_sections(desk: Any) -> None:
    desk.add_and_wait(MANUAL, chunking=SMALL)
    hits = desk.search("wing tail engine ship ropes harbour", top_k=2).hits
    assert {hit.heading for hit in hits} == {"Flight", "Mooring"}


def test_what_was_edited_split_merged_or_switched_off_is_in_the_next_answer(desk: Any) -> None:
    desk.add_and_wait(MANUAL, chunking=SMALL)
    tail = next(chunk for chunk in chunks(desk) if "tail" in chunk.text)
    edited = desk.call(editing.EDIT_CHUNK, editing.EditChunk(tail.id, "The fin gives balance to it."))
    hit = desk.search("fin balance").hits[0]
    assert (hit.found, "The fin gives balance" in hit.text, "tail" in hit.text) == (edited.text, True, False)
    first, second = desk.call(editing.SPLIT_CHUNK, editing.SplitChunk(edited.id, 8)).chunks
    assert second.text == "gives balance to it."
    assert "The fin gives balance" in " ".join(desk.search("fin").hits[0].text.split())
    merged = desk.call(editing.MERGE_CHUNKS, editing.MergeChunks(first.id))
    assert desk.search("fin balance").hits[0].found == merged.text
    desk.call(editing.SWITCH_CHUNKS, editing.SwitchChunks([merged.id], is_enabled=False))
    hit = desk.search("wing lift").hits[0]
    assert "wing" in hit.text
    assert "fin" not in hit.text


def test_equal_chunks_of_two_documents_give_each_their_own_section(desk: Any) -> None:
    desk.add_and_wait(MANUAL, Text("other.md", MANUAL.text.replace("The engine", "The motor")), chunking=SMALL)
    hits = desk.search("the wing gives lift", copies=2).hits
    texts = [hit.text for hit in hits if hit.heading == "Flight"]
    assert len(texts) == 2
    assert {"engine" in text for text in texts} == {True, False}


def test_an_exported_collection_keeps_its_sections(open_desk: Callable[..., Any], tmp_path: Path) -> None:
    desk = open_desk()
    desk.add_and_wait(MANUAL, chunking=SMALL)
    rows = desk.service._parts.database.read().execute("SELECT parent FROM chunks ORDER BY position").fetchall()
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    path = tmp_path / "papers.ragq"
    list(desk.service._parts.packer.pack(Export("papers"), path))
    with opened(path) as file:
        assert [chunk.parent for chunk in lines_of(file, CHUNKS, PackedChunk)] == [row[0] for row in rows]


def test_chunks_of_the_former_schema_stand_for_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "records.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", MIGRATIONS[: MIGRATIONS.index(FAMILIES)])
        old = Database(path)
        with old.write() as tx:
            tx.execute("INSERT INTO collections (name, title, created_at) VALUES ('papers', 'Papers', 1.0)")
            tx.execute(
                """INSERT INTO documents (id, collection_id, name, media_type, sha256, size_bytes, status, size,
                overlap, by_line, created_at, updated_at) VALUES ('d', 1, 'a', '', '', 1, 'ready', 512, 64, 0, 1, 1)"""
            )
            tx.execute(
                """INSERT INTO chunks (id, document_id, position, text, start, "end", page, heading, entry)
                VALUES ('c', 'd', 0, 'words', 0, 5, 0, '', 'e')"""
            )
        old.close()
    database = Database(path)
    assert tuple(database.read().execute("SELECT text, parent FROM chunks").fetchone()) == ("words", -1)
    database.close()
