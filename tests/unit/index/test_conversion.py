"""Does an index of an older pipeline become a collection that is searched as it was, and come out again?"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np

from clients.client import Client
from clients.conversion import pack, unpack, verdict
from clients.flatindex import FlatIndex
from clients.llm import LLMClient
from clients.passages import Passage
from tests.unit.index.conftest import Desk, InProcess
from tests.unit.index.test_transfer import exported, imported

TEXTS = [
    Passage("Ropes hold a ship.", "ships.md"), Passage("  "), Passage("The wing gives lift."),
    Passage("The tail gives balance."), Passage("An anchor holds it too.", "ships.md"),
]  # fmt: skip


def chunks(desk: Desk, collection: str) -> dict[str, list[str]]:
    from clients import index as contract

    return {
        d.name: [c.text for c in desk.call(contract.CHUNKS, contract.ListChunks(d.id)).chunks]
        for d in desk.documents(collection).documents
    }


def test_vectors_of_the_model_that_serves_are_taken_over(desk: Desk, mesh: InProcess, tmp_path: Path) -> None:
    llm = LLMClient(cast("Client", mesh))
    vectors = llm.embed([passage.text.strip() or "-" for passage in TEXTS])
    assert verdict(llm, FlatIndex("ip", vectors), TEXTS).model == llm.model("embed").name
    pack(tmp_path / "p", "old", TEXTS, vectors, llm.model("embed").name)
    mesh.calls.clear()
    record = imported(desk, tmp_path / "p", "old")
    assert (record.status, record.num_failed) == ("succeeded", 0)
    assert "llm.embed" not in mesh.calls
    assert chunks(desk, "old") == {
        "old": ["The wing gives lift.", "The tail gives balance."],
        "ships.md": ["Ropes hold a ship.", "An anchor holds it too."],
    }
    hit = desk.search("The tail gives balance.", "dense", "old", rerank=False).hits[0]
    assert (hit.text, round(hit.scores["dense"], 3)) == ("The tail gives balance.", 1.0)


def test_vectors_of_another_model_are_told_apart(mesh: InProcess) -> None:
    llm = LLMClient(cast("Client", mesh))
    vectors = llm.embed([passage.text.strip() or "-" for passage in TEXTS])
    other = verdict(llm, FlatIndex("ip", vectors[::-1].copy()), TEXTS)
    assert (other.model, "makes other vectors" in other.reason) == ("", True)
    short = verdict(llm, FlatIndex("ip", vectors[:, :8]), TEXTS)
    assert (short.model, "they have 8 numbers" in short.reason) == ("", True)


def test_texts_without_vectors_are_embedded_where_they_come_in(desk: Desk, tmp_path: Path) -> None:
    pack(tmp_path / "p", "old", TEXTS, None, "")
    assert imported(desk, tmp_path / "p", "old").status == "succeeded"
    assert desk.search("wing lift", "dense", "old").hits[0].text == "The wing gives lift."


def test_origins_with_equal_texts_are_one_document(desk: Desk, tmp_path: Path) -> None:
    pack(tmp_path / "p", "old", [Passage("same words", "a.md"), Passage("same words", "b.md")], None, "")
    assert imported(desk, tmp_path / "p", "old").status == "succeeded"
    assert chunks(desk, "old") == {"a.md": ["same words"]}


def test_a_collection_comes_out_as_passages_with_their_vectors(desk: Desk, mesh: InProcess, tmp_path: Path) -> None:
    desk.add_and_wait("Ropes hold a ship.", "The wing gives lift.")
    passages, vectors = unpack(exported(desk, tmp_path / "p", with_originals=False))
    assert sorted(passage.text for passage in passages) == ["Ropes hold a ship.", "The wing gives lift."]
    wanted: Any = LLMClient(cast("Client", mesh)).embed([passage.text for passage in passages])
    np.testing.assert_allclose(vectors, wanted, atol=1e-6)
    without, none = unpack(exported(desk, tmp_path / "q", with_vectors=False))
    assert (without, none.shape[0]) == (passages, 0)
