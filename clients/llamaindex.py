"""ragq behind LlamaIndex's interfaces: a retriever, a reranker and embeddings.

    from clients import Ragq
    from clients.llamaindex import RagqEmbedding, RagqReranker, RagqRetriever

    retriever = RagqRetriever(mesh=Ragq(), collection="handbook")
    retriever.retrieve("Which port does the Index service use?")

Needs the extra ``llamaindex`` (``llama-index-core`` and nothing else of LlamaIndex).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .aio import AsyncRagq
from .citing import facts_of
from .errors import BadRequest, MissingExtra
from .index import Hit, Mode
from .llm import Ranked
from .mesh import Ragq
from .within import Within

try:
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.bridge.pydantic import PrivateAttr
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.schema import (
        MetadataMode,
        NodeRelationship,
        NodeWithScore,
        QueryBundle,
        RelatedNodeInfo,
        TextNode,
    )
except ModuleNotFoundError as error:
    raise MissingExtra("llama-index-core", "llamaindex") from error

# What a model that writes, or one that embeds, is told beside the text of a passage.
TOLD = ("document", "page", "heading")
BATCH = 256


class RagqRetriever(BaseRetriever):
    """The passages of a collection that a question finds, best first.

    Each node is a chunk: its id is the chunk's, its source node the document's, its metadata what
    `clients.citing.facts_of` says. Of that, models see document, page and heading only.

    Args:
        mesh: a mesh; may be left out where only ``aretrieve`` is called, with ``amesh``.
        amesh: the asyncio mesh; without it, asynchronous calls run in a thread.
        collection: where to search.
        k: how many passages.
        mode: ``dense``, ``keyword`` or ``hybrid``.
        rerank: let the mesh score the first candidates again.
        within: search these documents only: a list of names, ids and patterns, or a `Within`; None means all.
        at_least: the least scores of a passage, by signal: ``{"dense": 0.8}``; None keeps all.

    Raises:
        NotFound: no such collection.
        BadRequest: neither ``mesh`` nor ``amesh`` can serve the call.
    """

    def __init__(
        self,
        mesh: Ragq | None = None,
        collection: str = "",
        k: int = 8,
        mode: Mode = "hybrid",
        *,
        amesh: AsyncRagq | None = None,
        rerank: bool = True,
        within: Within | Sequence[str] | None = None,
        at_least: Mapping[str, float] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self._mesh, self._amesh = mesh, amesh
        self._collection = collection
        self._asked: dict[str, Any] = {
            "top_k": k, "mode": mode, "rerank": rerank, "within": within, "at_least": at_least,
        }  # fmt: skip

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        hits = _of(self._mesh).index.search(self._collection, query_bundle.query_str, **self._asked)
        return self._nodes(hits)

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        if self._amesh is None:
            return await asyncio.to_thread(self._retrieve, query_bundle)
        return self._nodes(await self._amesh.index.search(self._collection, query_bundle.query_str, **self._asked))

    def _nodes(self, hits: Iterable[Hit]) -> list[NodeWithScore]:
        return [NodeWithScore(node=node_of(hit, self._collection), score=hit.score) for hit in hits]


def node_of(hit: Hit, collection: str) -> TextNode:
    """A hit as LlamaIndex knows passages."""
    metadata = facts_of(hit, collection)
    unsaid = [key for key in metadata if key not in TOLD]
    return TextNode(
        id_=hit.chunk_id,
        text=hit.text,
        metadata=metadata,
        start_char_idx=hit.start,
        end_char_idx=hit.end,
        excluded_llm_metadata_keys=unsaid,
        excluded_embed_metadata_keys=unsaid,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=hit.document_id)},
    )


class RagqReranker(BaseNodePostprocessor):
    """Nodes of any retriever, in the order that the mesh's reranker gives them.

    They are judged by their text without metadata. The score is 0 to 1 for a cross-encoder, a similarity for late
    interaction.

    Args:
        mesh, amesh: as for the retriever.
        top_n: how many to keep; None keeps all.
        model: one of the mesh's rerankers; empty for the one that fills the role.
        instruction: what is looked for, for models that take one.
    """

    top_n: int | None = None
    model: str = ""
    instruction: str = ""
    _mesh: Any = PrivateAttr(default=None)
    _amesh: Any = PrivateAttr(default=None)

    def __init__(self, mesh: Ragq | None = None, *, amesh: AsyncRagq | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self._mesh, self._amesh = mesh, amesh

    @classmethod
    def class_name(cls) -> str:
        """LlamaIndex's name for it."""
        return "RagqReranker"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if not nodes:
            return []
        return _ranked(nodes, _of(self._mesh).llm.rerank(*self._given(nodes, query_bundle), **self._how()))

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if self._amesh is None or not nodes:
            return await asyncio.to_thread(self._postprocess_nodes, nodes, query_bundle)
        return _ranked(nodes, await self._amesh.llm.rerank(*self._given(nodes, query_bundle), **self._how()))

    def _given(self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None) -> tuple[str, list[str], int | None]:
        if query_bundle is None:
            raise BadRequest("nodes are ranked for a question", help="postprocess_nodes(nodes, query_str=…)")
        texts = [one.node.get_content(metadata_mode=MetadataMode.NONE) for one in nodes]
        return query_bundle.query_str, texts, self.top_n

    def _how(self) -> dict[str, Any]:
        return {"model": self.model, "instruction": self.instruction}


def _ranked(nodes: Sequence[NodeWithScore], ranked: Sequence[Ranked]) -> list[NodeWithScore]:
    return [NodeWithScore(node=nodes[one.index].node, score=one.score) for one in ranked]


class RagqEmbedding(BaseEmbedding):
    """Vectors by the mesh's embedding model, of length one.

    Args:
        mesh, amesh: as for the retriever.
        model: one of the mesh's embedding models; empty for the one that fills the role.
        dimension: fewer numbers, for models that allow it; 0 for all.
    """

    _mesh: Any = PrivateAttr(default=None)
    _amesh: Any = PrivateAttr(default=None)
    _how: dict[str, Any] = PrivateAttr(default_factory=dict)

    def __init__(
        self,
        mesh: Ragq | None = None,
        *,
        amesh: AsyncRagq | None = None,
        model: str = "",
        dimension: int = 0,
        embed_batch_size: int = BATCH,
        **settings: Any,
    ) -> None:
        super().__init__(model_name=model or "ragq", embed_batch_size=embed_batch_size, **settings)
        self._mesh, self._amesh = mesh, amesh
        self._how = {"model": model, "dimension": dimension}

    @classmethod
    def class_name(cls) -> str:
        """LlamaIndex's name for it."""
        return "RagqEmbedding"

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        rows: list[list[float]] = _of(self._mesh).llm.embed(texts, **self._how).tolist() if texts else []
        return rows

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        row: list[float] = _of(self._mesh).llm.embed(query, "query", **self._how)[0].tolist()
        return row

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        if self._amesh is None:
            return await asyncio.to_thread(self._get_text_embeddings, texts)
        rows: list[list[float]] = (await self._amesh.llm.embed(texts, **self._how)).tolist() if texts else []
        return rows

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return (await self._aget_text_embeddings([text]))[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        if self._amesh is None:
            return await asyncio.to_thread(self._get_query_embedding, query)
        row: list[float] = (await self._amesh.llm.embed(query, "query", **self._how))[0].tolist()
        return row


def _of(mesh: Ragq | None) -> Ragq:
    if mesh is None:
        raise BadRequest("this call needs mesh=Ragq(…)", help="amesh serves what is awaited only")
    return mesh
