"""LangChain's own machinery calls ragq: retrieval, reranking and embeddings, waiting and awaited, over a live mesh."""

from __future__ import annotations

import asyncio
import importlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from clients import Ragq
from clients.aio import AsyncRagq
from clients.errors import BadRequest, MissingExtra, NotFound
from clients.index import Text, Within
from clients.settings import load
from tests.conftest import ROOT, LiveMesh, environment

pytestmark = pytest.mark.mesh
TEXTS = {
    "wings.md": "# Flight\n\nThe wing gives lift to the plane.",
    "tails.md": "The tail gives balance in the air.",
    "boats.md": "A boat floats on the water.",
}
QUESTION = "what gives lift to the plane?"


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "clients.langchain", raising=False)
    monkeypatch.setitem(sys.modules, "langchain_core.callbacks", None)
    with pytest.raises(MissingExtra, match="langchain-core") as refused:
        importlib.import_module("clients.langchain")
    assert refused.value.help == "pip install 'ragq[langchain]'"


@pytest.fixture
def ours() -> Any:
    pytest.importorskip("langchain_core", reason="pip install 'ragq[langchain]'")
    return importlib.import_module("clients.langchain")


@pytest.fixture
def mesh(toy_mesh: LiveMesh) -> Ragq:
    client = toy_mesh.client()
    client.index.create_collection("chained", exist_ok=True)
    client.index.add("chained", texts=[Text(name, text) for name, text in TEXTS.items()]).wait(20)
    return client


@pytest.fixture
async def amesh(toy_mesh: LiveMesh, mesh: Ragq) -> AsyncIterator[AsyncRagq]:
    async with AsyncRagq(load(toy_mesh.config, env={}).config) as opened:
        yield opened


def test_a_question_finds_documents_that_say_where_they_stand(ours: Any, mesh: Ragq) -> None:
    found = ours.RagqRetriever(mesh=mesh, collection="chained", k=2).invoke(QUESTION)
    hits = mesh.index.search("chained", QUESTION, 2)
    assert [(one.page_content, one.id) for one in found] == [(hit.text, hit.chunk_id) for hit in hits]
    best, hit = found[0].metadata, hits[0]
    assert (best["source"], best["document"], best["collection"]) == ("wings.md", "wings.md", "chained")
    assert (best["start"], best["end"], best["page"]) == (hit.start, hit.end, hit.page)
    assert best["relevance_score"] == pytest.approx(hit.score)
    assert set(best["ranks"]) >= {"dense", "keyword"}
    assert best["num_copies"] == 1


def test_settings_reach_the_search(ours: Any, mesh: Ragq) -> None:
    retriever = ours.RagqRetriever(mesh=mesh, collection="chained", mode="keyword", rerank=False)
    (only,) = retriever.invoke("boat")
    assert (only.metadata["document"], only.metadata["score_kind"]) == ("boats.md", "bm25")
    assert len(retriever.invoke("the", k=1)) == 1
    strict = ours.RagqRetriever(
        mesh=mesh, collection="chained", mode="keyword", rerank=False, at_least={"keyword": 1e6}
    )
    assert strict.invoke("boat") == []
    with pytest.raises(NotFound, match="gone"):
        ours.RagqRetriever(mesh=mesh, collection="gone").invoke("boat")


async def test_a_retriever_keeps_to_its_documents_and_a_call_to_others(ours: Any, mesh: Ragq, amesh: AsyncRagq) -> None:
    def names(found: Any) -> list[str]:
        return sorted(one.metadata["document"] for one in found)

    for own in (["tails.md", "boats.*"], Within(["tails.md", "boats.*"], kinds=["md"])):
        retriever = ours.RagqRetriever(mesh=mesh, amesh=amesh, collection="chained", within=own)
        assert names(retriever.invoke(QUESTION)) == names(await retriever.ainvoke(QUESTION)) == ["boats.md", "tails.md"]
        assert names(retriever.invoke(QUESTION, within=["wings.md"])) == ["wings.md"]
        assert names(await retriever.ainvoke(QUESTION, within=["wings.md"])) == ["wings.md"]
    threaded = ours.RagqRetriever(mesh=mesh, collection="chained")
    assert names(await threaded.ainvoke(QUESTION, within=["wings.md"])) == ["wings.md"]


def test_a_chain_hands_its_question_on_and_many_run_at_once(ours: Any, mesh: Ragq) -> None:
    from langchain_core.runnables import RunnableLambda

    retriever = ours.RagqRetriever(mesh=mesh, collection="chained", k=1)
    chain = retriever | RunnableLambda(lambda found: [one.metadata["document"] for one in found])
    assert chain.batch([QUESTION, "what gives balance?", "what floats?"]) == [["wings.md"], ["tails.md"], ["boats.md"]]


async def test_the_awaited_retriever_finds_the_same(ours: Any, mesh: Ragq, amesh: AsyncRagq) -> None:
    waiting = ours.RagqRetriever(mesh=mesh, collection="chained", k=2)
    awaited = ours.RagqRetriever(amesh=amesh, collection="chained", k=2)
    expected = [one.id for one in waiting.invoke(QUESTION)]
    for found in await asyncio.gather(awaited.ainvoke(QUESTION), waiting.ainvoke(QUESTION)):
        assert [one.id for one in found] == expected
    assert len(await waiting.ainvoke(QUESTION, k=1)) == len(await awaited.ainvoke(QUESTION, k=1)) == 1
    with pytest.raises(BadRequest, match="needs mesh"):
        awaited.invoke(QUESTION)


async def test_documents_of_any_origin_are_reranked_and_keep_what_they_had(
    ours: Any, mesh: Ragq, amesh: AsyncRagq
) -> None:
    from langchain_core.documents import Document

    given = [Document(id=name, page_content=text, metadata={"own": name}) for name, text in TEXTS.items()]
    found = ours.RagqReranker(mesh=mesh, top_n=2).compress_documents(given, "boat on the water")
    expected = mesh.llm.rerank("boat on the water", list(TEXTS.values()), 2)
    assert [one.page_content for one in found] == [one.text for one in expected]
    assert found[0].metadata == {"own": "boats.md", "relevance_score": pytest.approx(expected[0].score)}
    assert found[0].id == "boats.md"
    assert "relevance_score" not in given[0].metadata
    for reranker in (ours.RagqReranker(amesh=amesh, top_n=2), ours.RagqReranker(mesh=mesh, top_n=2)):
        again = await reranker.acompress_documents(given, "boat on the water")
        assert [one.id for one in again] == [one.id for one in found]
        assert await reranker.acompress_documents([], "boat") == []
    assert ours.RagqReranker(mesh=mesh).compress_documents([], "boat") == []


async def test_embeddings_are_those_of_the_mesh(ours: Any, mesh: Ragq, amesh: AsyncRagq) -> None:
    texts = list(TEXTS.values())
    documents, query = mesh.llm.embed(texts), mesh.llm.embed("boat", "query")[0]
    for embeddings in (ours.RagqEmbeddings(mesh), ours.RagqEmbeddings(amesh=amesh), ours.RagqEmbeddings(mesh)):
        np.testing.assert_allclose(await embeddings.aembed_documents(texts), documents, atol=1e-6)
        np.testing.assert_allclose(await embeddings.aembed_query("boat"), query, atol=1e-6)
    np.testing.assert_allclose(ours.RagqEmbeddings(mesh).embed_documents(texts), documents, atol=1e-6)
    np.testing.assert_allclose(ours.RagqEmbeddings(mesh).embed_query("boat"), query, atol=1e-6)
    assert ours.RagqEmbeddings(mesh).embed_documents([]) == await ours.RagqEmbeddings(amesh=amesh).aembed_documents([])


def test_the_example_prints_the_best_passages_with_their_documents(ours: Any, mesh: Ragq, toy_mesh: LiveMesh) -> None:
    example = ROOT / "examples" / "langchain_chain.py"
    env = environment(toy_mesh.home) | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, str(example), "chained", QUESTION, str(toy_mesh.config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[1] ")
    assert "wings.md, page -" in done.stdout


def test_a_vector_store_of_langchain_works_with_them(ours: Any, mesh: Ragq) -> None:
    from langchain_core.vectorstores import InMemoryVectorStore

    store = InMemoryVectorStore.from_texts(list(TEXTS.values()), ours.RagqEmbeddings(mesh))
    assert store.similarity_search("the boat floats", 1)[0].page_content == TEXTS["boats.md"]
