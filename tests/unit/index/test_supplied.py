"""Texts come in with vectors that the caller made."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from clients import index as contract
from clients.errors import BadRequest, RagqError, TooLarge
from clients.index import FINISHED, JobRecord
from clients.searching import Hits, Search
from clients.supplying import ADD_VECTORS, AddVectors

from .conftest import Desk
from .serving import Serving

pytestmark = pytest.mark.process

TEXTS = ["A red square.", "A green circle.", "蓝色的三角形。"]
ROWS = np.eye(3, 8, dtype=np.float32) * np.float32([[2.0], [0.5], [1.0]])


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    one = Serving(tmp_path)
    yield one
    one.close()


@pytest.fixture(params=["memory", "chroma"])
def desk(serving: Serving, request: pytest.FixtureRequest) -> Desk:
    return serving.desk(request.param)


def add(desk: Desk, texts: Sequence[str], rows: np.ndarray, model: str = "", name: str = "shapes") -> JobRecord:
    record = desk.call(ADD_VECTORS, AddVectors("pictures", name, list(texts), rows, model))
    end = time.monotonic() + 30
    while record.status not in FINISHED:
        assert time.monotonic() < end, record
        time.sleep(0.02)
        record = desk.call(contract.JOB, contract.JobId(record.id))
    return record


def nearest(desk: Desk, row: np.ndarray) -> Hits:
    return desk.call(contract.SEARCH, Search("pictures", "", 3, "dense", rerank=False, vector=row))


def test_they_are_found_by_vectors_of_the_callers_own_and_by_their_words(desk: Desk) -> None:
    assert add(desk, TEXTS, ROWS, "clip").num_done == 1
    found = nearest(desk, np.float32([0, 3, 0.1, 0, 0, 0, 0, 0]))
    assert [hit.text for hit in found.hits][:2] == ["A green circle.", "蓝色的三角形。"]
    assert found.hits[0].score == pytest.approx(0.9994, abs=1e-3)
    assert desk.search("三角形", "keyword", "pictures", rerank=False).hits[0].text == TEXTS[2]
    (about,) = desk.call(contract.COLLECTIONS).collections
    assert (about.model, about.dimension, about.num_chunks) == ("clip", 8, 3)


def test_a_question_in_words_goes_by_words_where_nobody_has_the_model(desk: Desk) -> None:
    add(desk, TEXTS, ROWS, "clip")
    found = desk.search("red square", "hybrid", "pictures", rerank=False)
    assert found.hits[0].text == TEXTS[0]
    assert any("words only" in note for note in found.notes)


def test_chunks_lie_in_the_text_of_their_document_where_they_say(desk: Desk) -> None:
    add(desk, TEXTS, ROWS, "clip")
    (document,) = desk.documents("pictures").documents
    assert (document.name, document.status, document.num_chunks) == ("shapes", "ready", 3)
    chunks = desk.call(contract.CHUNKS, contract.ListChunks(document.id)).chunks
    whole = "\n\n".join(TEXTS)
    assert [whole[chunk.start : chunk.end] for chunk in chunks] == TEXTS


def test_the_same_once_more_is_unchanged_and_more_comes_beside_it(desk: Desk) -> None:
    add(desk, TEXTS, ROWS, "clip")
    again = add(desk, TEXTS, ROWS)
    assert (again.num_documents, again.unchanged) == (0, 1)
    assert add(desk, ["A grey dot."], np.ones((1, 8), np.float32), name="more").num_done == 1
    assert nearest(desk, np.ones(8, np.float32)).hits[0].text == "A grey dot."


def test_vectors_of_the_serving_model_mix_with_those_it_makes(desk: Desk, serving: Serving) -> None:
    desk.add_and_wait("Herons hunt fish.", collection="pictures")
    (about,) = desk.call(contract.COLLECTIONS).collections
    rows = np.ones((1, about.dimension), np.float32)
    assert add(desk, ["A grey dot."], rows, about.model).num_done == 1
    assert {hit.text for hit in nearest(desk, rows[0]).hits} == {"A grey dot.", "Herons hunt fish."}


@pytest.mark.parametrize(
    ("texts", "rows", "model", "told"),
    [
        (TEXTS, ROWS[:2], "clip", "for 3 texts"),
        (TEXTS, ROWS[0], "clip", "for 3 texts"),
        (TEXTS, ROWS * 0, "clip", r"vectors\[0\] is zero"),
        (TEXTS, ROWS * np.float32("nan"), "clip", "no number"),
        ([*TEXTS[:2], " "], ROWS, "clip", r"texts\[2\] is empty"),
        ([], ROWS[:0], "clip", "no text"),
        (TEXTS, ROWS, "", "no vectors yet"),
    ],
)
def test_what_cannot_be_is_told(desk: Desk, texts: list[str], rows: np.ndarray, model: str, told: str) -> None:
    with pytest.raises(BadRequest, match=told):
        add(desk, texts, rows, model)


def test_vectors_of_another_model_or_dimension_are_refused_and_nothing_is_lost(desk: Desk) -> None:
    add(desk, TEXTS, ROWS, "clip")
    wrong: list[tuple[np.ndarray, str]] = [(ROWS, "other"), (np.eye(3, 9, dtype=np.float32), "")]
    for rows, model in wrong:
        with pytest.raises(BadRequest, match=r"holds vectors of clip \(8 numbers\)"):
            add(desk, ["x", "y", "z"], rows, model, "others")
    assert len(desk.documents("pictures").documents) == 1
    with pytest.raises(RagqError, match="8 finite numbers"):
        nearest(desk, np.ones(9, np.float32))


def test_too_many_at_once_are_refused(desk: Desk) -> None:
    with pytest.raises(TooLarge, match="1001 texts"):
        add(desk, ["x"] * 1001, np.ones((1001, 2), np.float32), "clip")
