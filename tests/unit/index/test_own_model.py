"""A collection goes on with the model that made its vectors, whichever serves now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clients import index as contract
from clients.editing import EDIT_CHUNK, EditChunk
from clients.errors import ModelNotLoaded

from .serving import NEW, OLD, Serving

pytestmark = pytest.mark.process

FACTS = (
    "Whales are mammals that live in the sea and breathe air.",
    "Bees make honey from the nectar of flowers.",
    "Herons hunt fish in shallow water at dawn.",
)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    one = Serving(tmp_path)
    yield one
    one.close()


@pytest.mark.parametrize("store", ["memory", "chroma"])
def test_questions_documents_and_edits_meet_the_vectors_of_their_own_model(serving: Serving, store: str) -> None:
    desk = serving.desk(store)
    desk.add_and_wait(*FACTS[:2], collection="older")
    serving.serve(NEW)
    desk.add_and_wait(FACTS[0], collection="newer")
    assert desk.add_and_wait(FACTS[2], collection="older").num_done == 1
    made = {c.name: (c.model, c.dimension) for c in desk.call(contract.COLLECTIONS).collections}
    assert made == {"older": (OLD, 64), "newer": (NEW, 256)}
    for text in FACTS:
        found = desk.search(text, "dense", "older", rerank=False)
        assert (found.hits[0].text, found.model) == (text, OLD)
        assert found.hits[0].score == pytest.approx(1.0, abs=1e-3)
    assert desk.search(FACTS[0], "dense", "newer").model == NEW
    assert desk.search(FACTS[0], "keyword", "older").model == ""
    (document,) = desk.documents("older", keyword="Herons").documents
    (chunk,) = desk.call(contract.CHUNKS, contract.ListChunks(document.id)).chunks
    desk.call(EDIT_CHUNK, EditChunk(chunk.id, "Pelicans wait for ferries."))
    assert desk.search("Pelicans wait for ferries.", "dense", "older", rerank=False).hits[0].score > 0.99


def test_an_emptied_collection_follows_the_serving_model(serving: Serving) -> None:
    desk = serving.desk("chroma")
    desk.add_and_wait(FACTS[0])
    desk.call(contract.DELETE_DOCUMENT, contract.DocumentId(desk.documents().documents[0].id))
    serving.serve(NEW)
    assert desk.add_and_wait(FACTS[1]).num_done == 1
    found = desk.search(FACTS[1], "dense", rerank=False)
    assert (found.hits[0].text, found.model) == (FACTS[1], NEW)


def test_a_question_is_answered_by_words_while_its_model_has_no_room(serving: Serving) -> None:
    desk = serving.desk()
    desk.add_and_wait(*FACTS)
    serving.serve(NEW)

    def no_room(_method: object, request: object) -> None:
        if getattr(request, "model", "") == OLD:
            raise ModelNotLoaded("no room for 'toy-64'")

    serving.mesh.before = no_room
    found = desk.search("mammals that breathe air in the sea, and honey")
    assert (found.hits[0].text, found.model) == (FACTS[0], "")
    assert found.notes[0] == "searched by words only: no room for 'toy-64'"
    assert "rerank" in found.hits[0].scores, "the reranker needs no vectors of the collection"
