"""The contract of the Index service, and its typed client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from . import (
    adding,
    calibration,
    checkup,
    editing,
    pages,
    reindexing,
    searches,
    supplying,
    testsets,
    transfer,
    watching,
    web,
)
from .adding import ADD_PATHS, ADD_TEXTS, ADD_UPLOADS, CANCEL_JOB, JOB, JOBS, RETRY_DOCUMENT, UPLOAD_PART, Adding, Job
from .calibration import Calibrating
from .chats import Chat, ChatId, Chats, Turn, Turns
from .checkup import CheckingUp
from .documents import (
    Chunk,
    ChunkId,
    Chunks,
    Collection,
    CollectionName,
    Collections,
    CreateCollection,
    Document,
    DocumentId,
    Documents,
    ListChunks,
    ListDocuments,
    Passage,
    Status,
)
from .editing import Editing
from .ingest import (
    DEFAULT_CHUNK_SIZE,
    DEFAULT_OVERLAP,
    FINISHED,
    UPLOAD_PART_BYTES,
    AddPaths,
    AddTexts,
    AddUploads,
    Chunking,
    JobId,
    JobRecord,
    Jobs,
    JobStatus,
    Strategy,
    Text,
    Upload,
    Uploaded,
    UploadPart,
)
from .pages import Pages
from .reindexing import Reindexing
from .searches import Remembering
from .searching import Hit, Hits, HitScore, Mode, Search
from .supplying import Supplying
from .testsets import Testing
from .transfer import Transfers
from .watching import Watching
from .web import Surfing
from .wire import Nothing, unary
from .within import Within, within_of

__all__ = [
    "ADD_PATHS",
    "ADD_TEXTS",
    "ADD_UPLOADS",
    "CANCEL_JOB",
    "CHAT",
    "CHATS",
    "CHUNKS",
    "COLLECTIONS",
    "CREATE_COLLECTION",
    "DEFAULT_CHUNK_SIZE",
    "DEFAULT_OVERLAP",
    "DELETE_CHAT",
    "DELETE_COLLECTION",
    "DELETE_DOCUMENT",
    "DOCUMENT",
    "DOCUMENTS",
    "FINISHED",
    "JOB",
    "JOBS",
    "METHODS",
    "PASSAGE",
    "RETRY_DOCUMENT",
    "SAVE_TURN",
    "SEARCH",
    "UPLOAD_PART",
    "UPLOAD_PART_BYTES",
    "AddPaths",
    "AddTexts",
    "AddUploads",
    "Chat",
    "ChatId",
    "Chats",
    "Chunk",
    "ChunkId",
    "Chunking",
    "Chunks",
    "Collection",
    "CollectionName",
    "Collections",
    "CreateCollection",
    "Document",
    "DocumentId",
    "Documents",
    "Hit",
    "HitScore",
    "Hits",
    "IndexClient",
    "Job",
    "JobId",
    "JobRecord",
    "JobStatus",
    "Jobs",
    "ListChunks",
    "ListDocuments",
    "Mode",
    "Passage",
    "Search",
    "Status",
    "Strategy",
    "Text",
    "Turn",
    "Turns",
    "Upload",
    "UploadPart",
    "Uploaded",
    "Within",
]

COLLECTIONS = unary("index.collections", Nothing, Collections)
CREATE_COLLECTION = unary("index.create_collection", CreateCollection, Collection)
DELETE_COLLECTION = unary("index.delete_collection", CollectionName, Nothing)
DOCUMENTS = unary("index.documents", ListDocuments, Documents)
DOCUMENT = unary("index.document", DocumentId, Document)
DELETE_DOCUMENT = unary("index.delete_document", DocumentId, Nothing)
CHUNKS = unary("index.chunks", ListChunks, Chunks)
PASSAGE = unary("index.passage", ChunkId, Passage)
SEARCH = unary("index.search", Search, Hits)
SAVE_TURN = unary("index.save_turn", Turn, Nothing, idempotent=False)
CHAT = unary("index.chat", ChatId, Turns)
CHATS = unary("index.chats", Nothing, Chats)
DELETE_CHAT = unary("index.delete_chat", ChatId, Nothing)
METHODS = (
    COLLECTIONS, CREATE_COLLECTION, DELETE_COLLECTION, DOCUMENTS, DOCUMENT, DELETE_DOCUMENT, CHUNKS, PASSAGE, SEARCH,
    SAVE_TURN, CHAT, CHATS, DELETE_CHAT, *adding.METHODS, *calibration.METHODS, *checkup.METHODS, *editing.METHODS,
    *pages.METHODS, *reindexing.METHODS, *searches.METHODS, *supplying.METHODS, *testsets.METHODS, *transfer.METHODS,
    *watching.METHODS, *web.METHODS,
)  # fmt: skip


class IndexClient(
    Adding, Calibrating, CheckingUp, Editing, Pages, Reindexing, Remembering, Supplying, Surfing, Testing, Transfers,
    Watching,
):  # fmt: skip
    """Collections, documents and search, as plain calls."""

    def collections(self) -> list[Collection]:
        """All collections, oldest first."""
        return self._client.call(COLLECTIONS, Nothing()).collections

    def create_collection(self, name: str, title: str = "", *, exist_ok: bool = False) -> Collection:
        """Make a collection; AlreadyExists unless ``exist_ok``."""
        return self._client.call(CREATE_COLLECTION, CreateCollection(name, title, exist_ok))

    def delete_collection(self, name: str) -> None:
        """Delete a collection with its documents, vectors and originals."""
        self._client.call(DELETE_COLLECTION, CollectionName(name))

    def documents(
        self, collection: str, *, keyword: str = "", status: str = "", offset: int = 0, limit: int = 100
    ) -> Documents:
        """A page of documents, failed ones first."""
        return self._client.call(DOCUMENTS, ListDocuments(collection, keyword, status, offset, limit))

    def document(self, id: str) -> Document:  # noqa: A002 - the word of the contract
        """One document."""
        return self._client.call(DOCUMENT, DocumentId(id))

    def delete_document(self, id: str) -> None:  # noqa: A002
        """Delete a document: vectors first, its record last."""
        self._client.call(DELETE_DOCUMENT, DocumentId(id))

    def chunks(self, document: str | Document, *, offset: int = 0, limit: int = 100) -> Chunks:
        """A page of a document's chunks."""
        document_id = document.id if isinstance(document, Document) else document
        return self._client.call(CHUNKS, ListChunks(document_id, offset, limit))

    def passage(self, chunk_id: str, around: int = 1) -> Passage:
        """A chunk with its document and neighbours."""
        return self._client.call(PASSAGE, ChunkId(chunk_id, around))

    def search(
        self,
        collection: str,
        query: str,
        top_k: int = 10,
        mode: Mode = "hybrid",
        *,
        rerank: bool = True,
        vector: np.ndarray | None = None,
        within: Within | Sequence[str] | None = None,
        at_least: Mapping[str, float] | None = None,
    ) -> list[Hit]:
        """Find chunks; best first.

        Args:
            collection: its name.
            query: in any language that the embedding model knows.
            top_k: how many at most.
            mode: by vectors, by words, or by both.
            rerank: score the first candidates again.
            vector: float32 [dim] of your own, instead of embedding ``query``.
            within: search these documents only: names, ids and patterns such as ``reports/*.pdf``, or a `Within`, which
                also knows sources and kinds.
            at_least: the least scores of a hit, by signal (``dense``, ``keyword``, ``rerank``): ``{"dense": 0.8}``.
        """
        found = self.find(
            collection, query, top_k, mode, rerank=rerank, vector=vector, within=within, at_least=at_least
        )
        return found.hits

    def find(  # noqa: PLR0913 - the words of a search
        self,
        collection: str,
        query: str,
        top_k: int = 10,
        mode: Mode = "hybrid",
        *,
        rerank: bool = True,
        vector: np.ndarray | None = None,
        copies: int = 1,
        timeout_s: float | None = None,
        within: Within | Sequence[str] | None = None,
        at_least: Mapping[str, float] | None = None,
    ) -> Hits:
        """As search, with timings, coverage and notes; up to ``copies`` chunks of equal text are among the hits."""
        request = Search(
            collection,
            query,
            top_k,
            mode,
            rerank,
            vector,
            copies,
            within=within_of(within),
            at_least=dict(at_least or {}),
        )
        return self._client.call(SEARCH, request, timeout_s=timeout_s)

    def find_without(
        self,
        collection: str,
        query: str,
        without: Sequence[str],
        top_k: int = 10,
        mode: Mode = "hybrid",
        *,
        within: Within | Sequence[str] | None = None,
    ) -> Hits:
        """As find, as if the collection lacked the documents with the ids ``without``."""
        request = Search(collection, query, top_k, mode, without=list(without), within=within_of(within))
        return self._client.call(SEARCH, request)

    def save_turn(self, turn: Turn) -> None:
        """Keep a finished round of a chat."""
        self._client.call(SAVE_TURN, turn)

    def chat(self, chat_id: str) -> list[Turn]:
        """The rounds of a chat, oldest first."""
        return self._client.call(CHAT, ChatId(chat_id)).turns

    def chats(self) -> list[Chat]:
        """Chats, newest first."""
        return self._client.call(CHATS, Nothing()).chats

    def delete_chat(self, chat_id: str) -> None:
        """Forget a chat."""
        self._client.call(DELETE_CHAT, ChatId(chat_id))
