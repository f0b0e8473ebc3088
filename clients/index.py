"""The contract of the Index service, and its typed client."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from .client import Client
from .errors import BadRequest
from .wire import Nothing, unary

Mode = Literal["dense", "keyword", "hybrid"]
Status = Literal["queued", "parsing", "chunking", "embedding", "ready", "failed", "cancelled"]
JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
HitScore = Literal["similarity", "bm25", "rrf", "fused", "probability"]
UPLOAD_PART_BYTES = 1 << 20
DEFAULT_CHUNK_SIZE = 512
DEFAULT_OVERLAP = 64
FINISHED = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Collection:
    """A named set of documents.

    Attributes:
        name: stable key: letters, digits, ``-`` and ``_``, any script, 1 to 64 characters.
        title: what people read; any text.
        model: embedding model that made the vectors; empty until the first document.
        dimension: of the vectors; 0 until the first document.
        created_at: seconds since 1970, UTC.
    """

    name: str
    title: str
    model: str = ""
    dimension: int = 0
    metric: Literal["cosine"] = "cosine"
    num_documents: int = 0
    num_chunks: int = 0
    num_failed: int = 0
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Collections:
    """All collections, oldest first."""

    collections: list[Collection]


@dataclass(frozen=True, slots=True)
class CreateCollection:
    """A collection to make; ``exist_ok`` returns the one that is there."""

    name: str
    title: str = ""
    exist_ok: bool = False


@dataclass(frozen=True, slots=True)
class CollectionName:
    """Names a collection."""

    name: str


@dataclass(frozen=True, slots=True)
class Document:
    """What came in, and where it stands.

    Attributes:
        id: content hash within the collection; the same content added twice is one document.
        name: file name, title or address.
        reason: why it failed, empty otherwise.
        fix: what to do about it, empty otherwise.
    """

    id: str
    collection: str
    name: str
    media_type: str
    size_bytes: int
    status: Status
    num_chunks: int = 0
    reason: str = ""
    fix: str = ""
    language: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0


@dataclass(frozen=True, slots=True)
class ListDocuments:
    """A page of documents; failed ones first, then newest first.

    Attributes:
        keyword: only names that contain it.
        status: only this status; empty for all.
    """

    collection: str
    keyword: str = ""
    status: str = ""
    offset: int = 0
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Documents:
    """A page, and how many there are in all."""

    documents: list[Document]
    total: int


@dataclass(frozen=True, slots=True)
class DocumentId:
    """Names a document."""

    id: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document as stored.

    Attributes:
        start, end: character offsets in the document's text.
        page: 1-based page; 0 where the format has none.
        heading: path of headings above it, joined by `` > ``.
    """

    id: str
    document_id: str
    position: int
    text: str
    start: int
    end: int
    page: int = 0
    heading: str = ""


@dataclass(frozen=True, slots=True)
class ListChunks:
    """A page of a document's chunks in their order."""

    document_id: str
    offset: int = 0
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Chunks:
    """A page, and how many there are in all."""

    chunks: list[Chunk]
    total: int


@dataclass(frozen=True, slots=True)
class ChunkId:
    """Names a chunk; ``around`` asks for that many neighbours on each side."""

    id: str
    around: int = 0


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk with its document and neighbours, to open a citation with."""

    chunk: Chunk
    document: Document
    before: list[Chunk]
    after: list[Chunk]


@dataclass(frozen=True, slots=True)
class Chunking:
    """How a document is cut.

    Attributes:
        size: longest chunk, in characters of Latin script; a CJK character counts as two.
        overlap: characters repeated from the chunk before, at a sentence start; less than ``size``.
        by_line: each non-empty line is one chunk (hand-typed lists).
    """

    size: int = DEFAULT_CHUNK_SIZE
    overlap: int = DEFAULT_OVERLAP
    by_line: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A text to add, with the name to show for it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class AddTexts:
    """Texts to add to a collection, which is made when it is missing."""

    collection: str
    texts: list[Text]
    chunking: Chunking = field(default_factory=Chunking)


@dataclass(frozen=True, slots=True)
class AddPaths:
    """Files or directories on the service's own disk, below its allowed roots."""

    collection: str
    paths: list[str]
    chunking: Chunking = field(default_factory=Chunking)


@dataclass(frozen=True, slots=True)
class UploadPart:
    """A part of a file on its way in; parts of one upload come in order.

    Attributes:
        upload_id: sha256 of the whole content, hexadecimal.
        offset: place of this part; the reply says how much is there already.
        total: bytes of the whole.
    """

    upload_id: str
    offset: int
    total: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Uploaded:
    """Bytes of the upload that the service holds."""

    size: int


@dataclass(frozen=True, slots=True)
class Upload:
    """A finished upload and its file name."""

    upload_id: str
    name: str


@dataclass(frozen=True, slots=True)
class AddUploads:
    """Uploaded files to add to a collection."""

    collection: str
    uploads: list[Upload]
    chunking: Chunking = field(default_factory=Chunking)


@dataclass(frozen=True, slots=True)
class JobRecord:
    """An ingest job as it stands.

    Attributes:
        bytes_done: of ``bytes_total``; the progress that can be trusted.
        document: name of the one being worked on.
        failures: documents that failed in this job.
        elapsed_s: seconds of work so far.
        unchanged: documents that were there already with the same content.
    """

    id: str
    collection: str
    status: JobStatus
    num_documents: int = 0
    num_done: int = 0
    num_failed: int = 0
    unchanged: int = 0
    num_chunks: int = 0
    bytes_total: int = 0
    bytes_done: int = 0
    stage: str = ""
    document: str = ""
    elapsed_s: float = 0.0
    reason: str = ""
    failures: list[Document] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class JobId:
    """Names a job."""

    id: str


@dataclass(frozen=True, slots=True)
class Jobs:
    """Jobs, newest first."""

    jobs: list[JobRecord]


@dataclass(frozen=True, slots=True)
class Search:
    """A search in a collection.

    Attributes:
        mode: dense (vectors), keyword (BM25 over words and CJK bigrams) or hybrid (both, fused).
        rerank: let the LLM service score the first candidates again.
        vector: float32 [dim] of the caller's own, instead of embedding ``query``.
    """

    collection: str
    query: str
    top_k: int = 10
    mode: Mode = "hybrid"
    rerank: bool = True
    vector: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk found by a search.

    Attributes:
        score: higher is better, on the scale that ``score_kind`` names.
        scores: every signal that took part: ``dense`` (cosine), ``keyword`` (BM25), ``rerank``.
        ranks: 1-based rank in each signal.
    """

    chunk_id: str
    document_id: str
    document: str
    text: str
    score: float
    score_kind: HitScore
    start: int = 0
    end: int = 0
    page: int = 0
    heading: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    ranks: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hits:
    """Hits, best first, what the search cost, and how well it covered the question.

    Attributes:
        timings: seconds per stage: ``embed``, ``dense``, ``keyword``, ``rerank``.
        coverage: 0 to 1, share of the question's informative words (by rarity in the collection)
            that the best hits contain; one of the signals for the decision to answer.
        notes: what was left out and why, for people.
    """

    hits: list[Hit]
    timings: dict[str, float] = field(default_factory=dict)
    coverage: float = 0.0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Turn:
    """A finished round of a conversation.

    Attributes:
        detail: what the page needs to show it again: citations, decision, timings.
    """

    chat_id: str
    question: str
    answer: str
    collection: str = ""
    created_at: float = 0.0
    detail: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChatId:
    """Names a chat."""

    id: str


@dataclass(frozen=True, slots=True)
class Turns:
    """The rounds of a chat, oldest first."""

    turns: list[Turn]


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat in the list: its first question is its title."""

    id: str
    title: str
    collection: str
    num_turns: int
    updated_at: float


@dataclass(frozen=True, slots=True)
class Chats:
    """Chats, newest first."""

    chats: list[Chat]


COLLECTIONS = unary("index.collections", Nothing, Collections)
CREATE_COLLECTION = unary("index.create_collection", CreateCollection, Collection)
DELETE_COLLECTION = unary("index.delete_collection", CollectionName, Nothing)
DOCUMENTS = unary("index.documents", ListDocuments, Documents)
DOCUMENT = unary("index.document", DocumentId, Document)
DELETE_DOCUMENT = unary("index.delete_document", DocumentId, Nothing)
RETRY_DOCUMENT = unary("index.retry_document", DocumentId, JobRecord)
CHUNKS = unary("index.chunks", ListChunks, Chunks)
PASSAGE = unary("index.passage", ChunkId, Passage)
ADD_TEXTS = unary("index.add_texts", AddTexts, JobRecord)
ADD_PATHS = unary("index.add_paths", AddPaths, JobRecord)
UPLOAD_PART = unary("index.upload_part", UploadPart, Uploaded)
ADD_UPLOADS = unary("index.add_uploads", AddUploads, JobRecord)
JOB = unary("index.job", JobId, JobRecord)
JOBS = unary("index.jobs", Nothing, Jobs)
CANCEL_JOB = unary("index.cancel_job", JobId, JobRecord)
SEARCH = unary("index.search", Search, Hits)
SAVE_TURN = unary("index.save_turn", Turn, Nothing, idempotent=False)
CHAT = unary("index.chat", ChatId, Turns)
CHATS = unary("index.chats", Nothing, Chats)
DELETE_CHAT = unary("index.delete_chat", ChatId, Nothing)
METHODS = (
    COLLECTIONS, CREATE_COLLECTION, DELETE_COLLECTION, DOCUMENTS, DOCUMENT, DELETE_DOCUMENT, RETRY_DOCUMENT,
    CHUNKS, PASSAGE, ADD_TEXTS, ADD_PATHS, UPLOAD_PART, ADD_UPLOADS, JOB, JOBS, CANCEL_JOB, SEARCH,
    SAVE_TURN, CHAT, CHATS, DELETE_CHAT,
)  # fmt: skip


class Job:
    """An ingest job that runs in the Index service; this is a view of it."""

    def __init__(self, client: Client, record: JobRecord) -> None:
        self._client = client
        self.record = record

    @property
    def id(self) -> str:
        """The job's id; it outlives this object and the service's process."""
        return self.record.id

    @property
    def progress(self) -> float:
        """0 to 1, by bytes."""
        if self.record.status == "succeeded":
            return 1.0
        return self.record.bytes_done / max(1, self.record.bytes_total)

    def refresh(self) -> JobRecord:
        """Ask the service where the job stands."""
        self.record = self._client.call(JOB, JobId(self.id))
        return self.record

    def follow(self, every_s: float = 0.2) -> Iterator[JobRecord]:
        """Yield the record again and again until the job is finished; the last one is final."""
        while True:
            yield self.refresh()
            if self.record.status in FINISHED:
                return
            time.sleep(every_s)

    def wait(self, timeout_s: float | None = None) -> JobRecord:
        """Wait for the end; TimeoutError when it takes longer than ``timeout_s``."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        for record in self.follow():
            if record.status in FINISHED:
                break
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"job {self.id} is still {record.status} after {timeout_s} s")
        return self.record

    def cancel(self) -> JobRecord:
        """End the job; documents that are ready stay."""
        self.record = self._client.call(CANCEL_JOB, JobId(self.id))
        return self.record


class IndexClient:
    """Collections, documents and search, as plain calls."""

    def __init__(self, client: Client) -> None:
        self._client = client

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

    def retry_document(self, id: str) -> Job:  # noqa: A002
        """Queue a failed document again."""
        return Job(self._client, self._client.call(RETRY_DOCUMENT, DocumentId(id)))

    def chunks(self, document: str | Document, *, offset: int = 0, limit: int = 100) -> Chunks:
        """A page of a document's chunks."""
        document_id = document.id if isinstance(document, Document) else document
        return self._client.call(CHUNKS, ListChunks(document_id, offset, limit))

    def passage(self, chunk_id: str, around: int = 1) -> Passage:
        """A chunk with its document and neighbours."""
        return self._client.call(PASSAGE, ChunkId(chunk_id, around))

    def add(
        self,
        collection: str,
        *,
        texts: Sequence[str | Text] = (),
        paths: Sequence[str | Path] = (),
        files: Sequence[str | Path] | Mapping[str, bytes] = (),
        chunking: Chunking | None = None,
        on_upload: Callable[[str, int, int], None] | None = None,
    ) -> Job:
        """Add documents; give exactly one of texts, paths and files.

        Args:
            collection: made when it is missing.
            texts: texts; a plain string is named after its first words.
            paths: files or directories on the service's disk, below its allowed roots.
            files: files on this machine's disk, or contents by name; they travel in parts.
            chunking: size and overlap.
            on_upload: called with name, bytes sent and bytes in all.

        Returns:
            A job that is already queued; documents show up as they become ready.
        """
        if sum(map(bool, (texts, paths, files))) != 1:
            raise BadRequest("add: give exactly one of texts=, paths= and files=")
        cut = chunking or Chunking()
        if texts:
            named = [t if isinstance(t, Text) else Text(_title(t), t) for t in texts]
            record = self._client.call(ADD_TEXTS, AddTexts(collection, named, cut))
        elif paths:
            record = self._client.call(ADD_PATHS, AddPaths(collection, [str(p) for p in paths], cut))
        else:
            record = self._client.call(ADD_UPLOADS, AddUploads(collection, self._send(files, on_upload), cut))
        return Job(self._client, record)

    def _send(
        self, files: Sequence[str | Path] | Mapping[str, bytes], on_upload: Callable[[str, int, int], None] | None
    ) -> list[Upload]:
        if isinstance(files, Mapping):
            return [self.upload(name, content, on_upload) for name, content in files.items()]
        return [self.upload(Path(p).name, Path(p).read_bytes(), on_upload) for p in files]

    def upload(self, name: str, content: bytes, on_upload: Callable[[str, int, int], None] | None = None) -> Upload:
        """Send a file in parts; what the service holds already from an earlier try is not sent again."""
        upload_id = hashlib.sha256(content).hexdigest()
        held, total = 0, len(content)
        while True:
            part = content[held : held + UPLOAD_PART_BYTES]
            before, held = held, self._client.call(UPLOAD_PART, UploadPart(upload_id, held, total, part)).size
            if on_upload:
                on_upload(name, held, total)
            if held >= total:
                return Upload(upload_id, name)
            if held <= before:
                raise BadRequest(f"the upload of {name} does not grow: {held} of {total} bytes")

    def job(self, id: str) -> Job:  # noqa: A002
        """A job by its id."""
        return Job(self._client, self._client.call(JOB, JobId(id)))

    def jobs(self) -> list[JobRecord]:
        """Recent jobs, newest first."""
        return self._client.call(JOBS, Nothing()).jobs

    def search(
        self,
        collection: str,
        query: str,
        top_k: int = 10,
        mode: Mode = "hybrid",
        *,
        rerank: bool = True,
        vector: np.ndarray | None = None,
    ) -> list[Hit]:
        """Find chunks; best first."""
        return self.find(collection, query, top_k, mode, rerank=rerank, vector=vector).hits

    def find(
        self,
        collection: str,
        query: str,
        top_k: int = 10,
        mode: Mode = "hybrid",
        *,
        rerank: bool = True,
        vector: np.ndarray | None = None,
        timeout_s: float | None = None,
    ) -> Hits:
        """As search, with timings, coverage and notes."""
        return self._client.call(SEARCH, Search(collection, query, top_k, mode, rerank, vector), timeout_s=timeout_s)

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


def _title(text: str) -> str:
    words = " ".join(text.split())
    return words[:60] + ("…" if len(words) > 60 else "") or "empty text"
