"""ragq behind LangChain's interfaces: a retriever, a reranker and embeddings.

    from clients import Ragq
    from clients.langchain import RagqEmbeddings, RagqReranker, RagqRetriever

    retriever = RagqRetriever(mesh=Ragq(), collection="handbook")
    retriever.invoke("Which port does the Index service use?")

Needs the extra ``langchain`` (``langchain-core`` and nothing else of LangChain).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, ClassVar

from .aio import AsyncRagq
from .citing import facts_of
from .errors import BadRequest, MissingExtra
from .index import Hit, Mode
from .llm import Ranked
from .mesh import Ragq
from .within import Within

try:
    from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun, Callbacks
    from langchain_core.documents import BaseDocumentCompressor, Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import run_in_executor
except ModuleNotFoundError as error:
    raise MissingExtra("langchain-core", "langchain") from error

SCORE = "relevance_score"


class RagqRetriever(BaseRetriever):
    """The passages of a collection that a question finds, best first.

    Each document's metadata says where it stands, so that an answer can cite it: ``document`` and ``source`` (the
    address of a web page, else the document's name), ``page`` (from 1; 0 where the format has none), ``heading``,
    ``start`` and ``end`` in the document's text, ``chunk_id``, ``document_id`` and ``collection``; and how it was
    found: ``relevance_score`` on the scale ``score_kind``, ``scores`` and ``ranks`` of each signal, ``num_copies``.

    Attributes:
        mesh: a mesh; may be left out where only ``ainvoke`` and its kin are called, with ``amesh``.
        amesh: the asyncio mesh; without it, asynchronous calls run in a thread.
        collection: where to search.
        k: how many passages; ``retriever.invoke(question, k=3)`` asks for another number once.
        mode: ``dense``, ``keyword`` or ``hybrid``.
        rerank: let the mesh score the first candidates again.
        within: search these documents only: a list of names, ids and patterns such as ``reports/*.pdf``, or a `Within`;
            ``retriever.invoke(question, within=["manual.pdf"])`` asks others once. None means all.
        at_least: the least scores of a passage, by signal: ``{"dense": 0.8}``; None keeps all.

    Raises:
        NotFound: no such collection.
        BadRequest: neither ``mesh`` nor ``amesh`` can serve the call.
    """

    mesh: Ragq | None = None
    amesh: AsyncRagq | None = None
    collection: str
    k: int = 8
    mode: Mode = "hybrid"
    rerank: bool = True
    within: Within | list[str] | None = None
    at_least: dict[str, float] | None = None

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - LangChain's signature
        k: int | None = None,
        within: Within | list[str] | None = None,
    ) -> list[Document]:
        index = _of(self.mesh).index
        return self._documents(index.search(self.collection, query, **self._asked(k, within)))

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
        within: Within | list[str] | None = None,
    ) -> list[Document]:
        if self.amesh is None:
            run = run_manager.get_sync()
            search = partial(self._get_relevant_documents, query, run_manager=run, k=k, within=within)
            return list(await run_in_executor(None, search))
        index = self.amesh.index
        return self._documents(await index.search(self.collection, query, **self._asked(k, within)))

    def _asked(self, k: int | None, within: Within | list[str] | None) -> dict[str, Any]:
        limit = self.within if within is None else within
        asked: dict[str, Any] = {"mode": self.mode, "rerank": self.rerank, "at_least": self.at_least}
        return {**asked, "top_k": k or self.k, "within": limit}

    def _documents(self, hits: Iterable[Hit]) -> list[Document]:
        return [document_of(hit, self.collection) for hit in hits]


def document_of(hit: Hit, collection: str) -> Document:
    """A hit as LangChain knows documents; its id is the chunk's."""
    metadata = {**facts_of(hit, collection), SCORE: hit.score}
    return Document(id=hit.chunk_id, page_content=hit.text, metadata=metadata)


class RagqReranker(BaseDocumentCompressor):
    """Documents of any retriever, in the order that the mesh's reranker gives them.

    Copies come back, with ``relevance_score`` (0 to 1 for a cross-encoder, a similarity for late interaction) in
    their metadata.

    Attributes:
        mesh, amesh: as for the retriever.
        top_n: how many to keep; None keeps all.
        model: one of the mesh's rerankers; empty for the one that fills the role.
        instruction: what is looked for, for models that take one.
    """

    model_config: ClassVar[dict[str, Any]] = {"arbitrary_types_allowed": True}
    mesh: Ragq | None = None
    amesh: AsyncRagq | None = None
    top_n: int | None = None
    model: str = ""
    instruction: str = ""

    def compress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,  # noqa: ARG002 - LangChain's signature
    ) -> Sequence[Document]:
        """Rank documents; none for none."""
        if not documents:
            return []
        return _ranked(documents, _of(self.mesh).llm.rerank(query, _texts(documents), self.top_n, **self._how()))

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """As compress_documents, awaited."""
        if not documents:
            return []
        if self.amesh is None:
            found: Sequence[Document] = await super().acompress_documents(documents, query, callbacks)
            return found
        return _ranked(documents, await self.amesh.llm.rerank(query, _texts(documents), self.top_n, **self._how()))

    def _how(self) -> dict[str, Any]:
        return {"model": self.model, "instruction": self.instruction}


def _texts(documents: Sequence[Document]) -> list[str]:
    return [document.page_content for document in documents]


def _ranked(documents: Sequence[Document], ranked: Sequence[Ranked]) -> list[Document]:
    return [_scored(documents[one.index], one.score) for one in ranked]


def _scored(document: Document, score: float) -> Document:
    return Document(
        id=document.id, page_content=document.page_content, metadata={**document.metadata, SCORE: score}
    )  # fmt: skip


class RagqEmbeddings(Embeddings):
    """Vectors by the mesh's embedding model, of length one.

    Args:
        mesh: as for the retriever.
        amesh: as for the retriever.
        model: one of the mesh's embedding models; empty for the one that fills the role.
        dimension: fewer numbers, for models that allow it; 0 for all.
    """

    def __init__(
        self, mesh: Ragq | None = None, *, amesh: AsyncRagq | None = None, model: str = "", dimension: int = 0
    ) -> None:
        self._mesh, self._amesh = mesh, amesh
        self._how: dict[str, Any] = {"model": model, "dimension": dimension}

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed texts that are searched."""
        rows: list[list[float]] = _of(self._mesh).llm.embed(texts, **self._how).tolist() if texts else []
        return rows

    def embed_query(self, text: str) -> list[float]:
        """Embed a question."""
        row: list[float] = _of(self._mesh).llm.embed(text, "query", **self._how)[0].tolist()
        return row

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """As embed_documents, awaited."""
        if self._amesh is None:
            return list(await super().aembed_documents(texts))
        rows: list[list[float]] = (await self._amesh.llm.embed(texts, **self._how)).tolist() if texts else []
        return rows

    async def aembed_query(self, text: str) -> list[float]:
        """As embed_query, awaited."""
        if self._amesh is None:
            return list(await super().aembed_query(text))
        row: list[float] = (await self._amesh.llm.embed(text, "query", **self._how))[0].tolist()
        return row


def _of(mesh: Ragq | None) -> Ragq:
    if mesh is None:
        raise BadRequest("this call needs mesh=Ragq(…)", help="amesh serves ainvoke, acompress and aembed only")
    return mesh
