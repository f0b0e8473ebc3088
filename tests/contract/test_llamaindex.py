"""LlamaIndex's own machinery calls ragq: retrieval, reranking and embeddings, waiting and awaited, over a live mesh."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from clients import Ragq
from clients.aio import AsyncRagq
from clients.errors import BadRequest, MissingExtra, NotFound
from clients.index import Text
from clients.settings import load
from tests.conftest import LiveMesh

pytestmark = pytest.mark.mesh
TEXTS = {
    "wings.md": "# Flight\n\nThe wing gives lift to the plane.",
    "tails.md": "The tail gives balance in the air.",
    "boats.md": "A boat floats on the water.",
}
QUESTION = "what gives lift to the plane?"


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "clients.llamaindex", raising=False)
    monkeypatch.setitem(sys.modules, "llama_index.core.base.base_retriever", None)
    with pytest.raises(MissingExtra, match="llama-index-core") as refused:
        importlib.import_module("clients.llamaindex")
    assert refused.value.help == "pip install 'ragq[llamaindex]'"


@pytest.fixture(scope="module")
def ours() -> Any:
    pytest.importorskip("llama_index.core", reason="pip install 'ragq[llamaindex]'")
    return importlib.import_module("clients.llamaindex")


@pytest.fixture(scope="module")
def mesh(toy_mesh: LiveMesh) -> Ragq:
    client = toy_mesh.client()
    client.index.create_collection("indexed", exist_ok=True)
    client.index.add("indexed", texts=[Text(name, text) for name, text in TEXTS.items()]).wait(20)
    return client


@pytest.fixture
async def amesh(toy_mesh: LiveMesh, mesh: Ragq) -> AsyncIterator[AsyncRagq]:
    async with AsyncRagq(load(toy_mesh.config, env={}).config) as opened:
        yield opened


def names(found: Any) -> list[str]:
    return [one.node.metadata["document"] for one in found]


def test_a_question_finds_nodes_that_say_where_they_stand(ours: Any, mesh: Ragq) -> None:
    found = ours.RagqRetriever(mesh, "indexed", k=2).retrieve(QUESTION)
    hits = mesh.index.search("indexed", QUESTION, 2)
    assert [(one.node.text, one.node.node_id) for one in found] == [(hit.text, hit.chunk_id) for hit in hits]
    assert [one.score for one in found] == pytest.approx([hit.score for hit in hits])
    best, hit = found[0].node, hits[0]
    assert (best.metadata["document"], best.metadata["collection"]) == ("wings.md", "indexed")
    assert (best.start_char_idx, best.end_char_idx) == (hit.start, hit.end)
    assert best.ref_doc_id == hit.document_id


def test_a_model_is_told_the_document_and_not_how_it_was_found(ours: Any, mesh: Ragq) -> None:
    from llama_index.core.schema import MetadataMode

    (best,) = ours.RagqRetriever(mesh, "indexed", k=1).retrieve(QUESTION)
    told = best.node.get_content(metadata_mode=MetadataMode.LLM)
    assert "document: wings.md" in told
    assert "The wing gives lift" in told
    assert "ranks" not in told
    assert "chunk_id" not in told


def test_settings_reach_the_search(ours: Any, mesh: Ragq) -> None:
    words = {"mode": "keyword", "rerank": False}
    assert names(ours.RagqRetriever(mesh, "indexed", **words).retrieve("boat")) == ["boats.md"]
    assert ours.RagqRetriever(mesh, "indexed", **words, at_least={"keyword": 1e6}).retrieve("boat") == []
    assert names(ours.RagqRetriever(mesh, "indexed", within=["tails.md"]).retrieve(QUESTION)) == ["tails.md"]
    with pytest.raises(NotFound, match="gone"):
        ours.RagqRetriever(mesh, "gone").retrieve("boat")


async def test_the_awaited_retriever_finds_the_same(ours: Any, mesh: Ragq, amesh: AsyncRagq) -> None:
    expected = names(ours.RagqRetriever(mesh, "indexed", k=2).retrieve(QUESTION))
    awaited = ours.RagqRetriever(collection="indexed", k=2, amesh=amesh)
    assert names(await awaited.aretrieve(QUESTION)) == expected
    assert names(await ours.RagqRetriever(mesh, "indexed", k=2).aretrieve(QUESTION)) == expected
    with pytest.raises(BadRequest, match="needs mesh"):
        awaited.retrieve(QUESTION)


async def test_nodes_of_any_origin_are_reranked_and_stay_what_they_were(
    ours: Any, mesh: Ragq, amesh: AsyncRagq
) -> None:
    from llama_index.core.schema import NodeWithScore, TextNode

    given = [
        NodeWithScore(node=TextNode(id_=name, text=text, metadata={"document": name}), score=0.5)
        for name, text in TEXTS.items()
    ]
    expected = mesh.llm.rerank("boat on the water", list(TEXTS.values()), 2)
    for reranker in (ours.RagqReranker(mesh, top_n=2), ours.RagqReranker(amesh=amesh, top_n=2)):
        found = await reranker.apostprocess_nodes(given, query_str="boat on the water")
        assert [one.node.text for one in found] == [one.text for one in expected]
        assert [one.score for one in found] == pytest.approx([one.score for one in expected])
    found = ours.RagqReranker(mesh, top_n=1).postprocess_nodes(given, query_str="boat on the water")
    assert names(found) == ["boats.md"]
    assert given[2].score == 0.5
    assert ours.RagqReranker(mesh).postprocess_nodes([], query_str="boat") == []
    with pytest.raises(BadRequest, match="for a question"):
        ours.RagqReranker(mesh).postprocess_nodes(given)


async def test_embeddings_are_those_of_the_mesh(ours: Any, mesh: Ragq, amesh: AsyncRagq) -> None:
    texts = list(TEXTS.values())
    documents, query = mesh.llm.embed(texts), mesh.llm.embed("boat", "query")[0]
    waiting = ours.RagqEmbedding(mesh)
    np.testing.assert_allclose(waiting.get_text_embedding_batch(texts), documents, atol=1e-6)
    np.testing.assert_allclose(waiting.get_text_embedding(texts[0]), documents[0], atol=1e-6)
    np.testing.assert_allclose(waiting.get_query_embedding("boat"), query, atol=1e-6)
    for embedding in (waiting, ours.RagqEmbedding(amesh=amesh)):
        np.testing.assert_allclose(await embedding.aget_text_embedding_batch(texts), documents, atol=1e-6)
        np.testing.assert_allclose(await embedding.aget_query_embedding("boat"), query, atol=1e-6)
    assert "mesh" not in waiting.to_dict(), "a mesh is no setting to be saved"
