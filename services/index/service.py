"""IndexService: collections, documents, ingest, search and chats, over one data directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from clients import index as contract
from clients.client import Client, connect
from clients.config import Config
from clients.errors import BadRequest
from clients.llm import LLMClient
from clients.wire import Nothing
from services.service import Call, Service, serves

from . import sample
from .catalog import Shelf
from .chunking import check as check_chunking
from .documents import Incoming
from .embedding import LLM
from .intake import check_size, listed
from .jobs import OpenJob
from .parts import open_parts


@dataclass(frozen=True, slots=True)
class Given:
    """A content to add; an empty media type lets it be looked at."""

    name: str
    content: bytes
    media_type: str = ""


class IndexService(Service):
    """Serves every method of `clients.index`.

    Args:
        config: where the data lives, and the limits.
        llm: embeds and reranks; None connects to the proxies of the LLM service.
    """

    name: ClassVar[str] = "index"
    slots: ClassVar[int] = 16

    def __init__(self, config: Config, llm: LLM | None = None) -> None:
        super().__init__(config)
        self._llm = llm
        self._clients: list[Client] = []
        self._max_bytes = config.index.max_file_mb << 20

    def start(self) -> None:
        """Own the data directory, open it, mend what a crash left, and go on ingesting."""
        self._parts = open_parts(self.config, *self._llms())
        self._catalog = self._parts.catalog
        if self.config.index.sample and self._catalog.is_new():
            self._add_sample()

    def _llms(self) -> tuple[LLM, LLM]:
        """For those who search, and for what is added."""
        if self._llm is not None:
            return self._llm, self._llm
        self._clients = [connect(self.config, "llm", bulk=bulk, use="worker") for bulk in (False, True)]
        searching, adding = map(LLMClient, self._clients)
        return searching, adding

    def _add_sample(self) -> None:
        chunking = contract.Chunking(self.config.index.chunk_size, self.config.index.overlap)
        self._catalog.create(sample.COLLECTION, sample.TITLE, exist_ok=True)
        self._add(sample.COLLECTION, chunking, [Given(path.name, path.read_bytes()) for path in sample.files()])

    def stop(self) -> None:
        """Let go of the data directory."""
        self._parts.close()
        for client in self._clients:
            client.close()

    def note(self) -> str:
        """What there is, for the status page."""
        collections = self._catalog.collections()
        num_chunks = sum(c.num_chunks for c in collections)
        return f"{_count(len(collections), 'collection')}, {_count(num_chunks, 'chunk')}, {self.config.index.store}"

    @serves(contract.COLLECTIONS)
    def collections(self, _request: Nothing, _call: Call) -> contract.Collections:
        """All collections."""
        return contract.Collections(self._catalog.collections())

    @serves(contract.CREATE_COLLECTION)
    def create_collection(self, request: contract.CreateCollection, _call: Call) -> contract.Collection:
        """Make a collection."""
        return self._catalog.create(request.name, request.title, exist_ok=request.exist_ok)

    @serves(contract.DELETE_COLLECTION)
    def delete_collection(self, request: contract.CollectionName, _call: Call) -> Nothing:
        """Delete a collection with its documents, vectors and originals."""
        contents = self._catalog.documents.contents(self._catalog.shelf(request.name).id)
        self._catalog.delete(request.name)
        self._parts.publisher.sweep()
        self._parts.originals.forget(contents)
        return Nothing()

    @serves(contract.DOCUMENTS)
    def documents(self, request: contract.ListDocuments, _call: Call) -> contract.Documents:
        """A page of documents."""
        return self._catalog.documents.page(self._catalog.shelf(request.collection).id, request)

    @serves(contract.DOCUMENT)
    def document(self, request: contract.DocumentId, _call: Call) -> contract.Document:
        """One document."""
        return self._catalog.documents.get(request.id)

    @serves(contract.DELETE_DOCUMENT)
    def delete_document(self, request: contract.DocumentId, _call: Call) -> Nothing:
        """Delete a document: from here on no search finds it, and the stores forget it before the reply."""
        sha256 = self._catalog.documents.delete(request.id)
        self._parts.publisher.sweep()
        self._parts.originals.forget([sha256])
        return Nothing()

    @serves(contract.RETRY_DOCUMENT)
    def retry_document(self, request: contract.DocumentId, _call: Call) -> contract.JobRecord:
        """Queue a failed document again."""
        return self._queued(self._catalog.jobs.retry(request.id))

    @serves(contract.CHUNKS)
    def chunks(self, request: contract.ListChunks, _call: Call) -> contract.Chunks:
        """A page of a document's chunks."""
        self._catalog.documents.get(request.document_id)
        return self._catalog.documents.chunks.page(request.document_id, request.offset, request.limit)

    @serves(contract.PASSAGE)
    def passage(self, request: contract.ChunkId, _call: Call) -> contract.Passage:
        """A chunk with its neighbours."""
        chunk, before, after = self._catalog.documents.chunks.around(request.id, request.around)
        return contract.Passage(chunk, self._catalog.documents.get(chunk.document_id), before, after)

    @serves(contract.ADD_TEXTS)
    def add_texts(self, request: contract.AddTexts, _call: Call) -> contract.JobRecord:
        """Queue texts."""
        _some(request.texts, "texts")
        given = [
            Given(text.name, text.text.encode("utf-8", "replace"), _media_type(text.name)) for text in request.texts
        ]
        return self._add(request.collection, request.chunking, given)

    @serves(contract.ADD_PATHS)
    def add_paths(self, request: contract.AddPaths, _call: Call) -> contract.JobRecord:
        """Queue files of the service's own disk."""
        _some(request.paths, "paths")
        files = listed(request.paths, self.config.index.roots)
        shelf = self._shelf(request.collection, request.chunking)
        with self._parts.database.write() as tx:
            job = self._catalog.jobs.open(tx, shelf.id, shelf.name, request.chunking)
            for file in files:
                self._catalog.jobs.add_source(tx, job, str(file.path), file.name, file.size_bytes)
        return self._queued(job)

    @serves(contract.UPLOAD_PART)
    def upload_part(self, request: contract.UploadPart, _call: Call) -> contract.Uploaded:
        """Take a part of a file."""
        return contract.Uploaded(self._parts.uploads.write(request))

    @serves(contract.ADD_UPLOADS)
    def add_uploads(self, request: contract.AddUploads, _call: Call) -> contract.JobRecord:
        """Queue uploaded files."""
        _some(request.uploads, "uploads")
        given = [Given(upload.name, self._uploaded(upload)) for upload in request.uploads]
        record = self._add(request.collection, request.chunking, given)
        for upload in request.uploads:
            self._parts.uploads.drop(upload.upload_id)
        return record

    def _uploaded(self, upload: contract.Upload) -> bytes:
        # A call that lost its worker after the upload was taken comes again, and finds the content kept.
        if self._parts.originals.has(upload.upload_id):
            return self._parts.originals.read(upload.upload_id)
        return self._parts.uploads.read(upload.upload_id, upload.name)

    @serves(contract.JOB)
    def job(self, request: contract.JobId, _call: Call) -> contract.JobRecord:
        """A job as it stands."""
        return self._catalog.jobs.get(request.id)

    @serves(contract.JOBS)
    def jobs(self, _request: Nothing, _call: Call) -> contract.Jobs:
        """Recent jobs."""
        return contract.Jobs(self._catalog.jobs.newest())

    @serves(contract.CANCEL_JOB)
    def cancel_job(self, request: contract.JobId, _call: Call) -> contract.JobRecord:
        """End a job; documents that are ready stay."""
        self._catalog.jobs.cancel(request.id)
        self._parts.publisher.sweep()
        return self._catalog.jobs.get(request.id)

    @serves(contract.SEARCH)
    def search(self, request: contract.Search, call: Call) -> contract.Hits:
        """Find chunks."""
        return self._parts.searcher.search(request, call)

    @serves(contract.SAVE_TURN)
    def save_turn(self, request: contract.Turn, _call: Call) -> Nothing:
        """Keep a finished round of a chat."""
        self._catalog.chats.save(request)
        return Nothing()

    @serves(contract.CHAT)
    def chat(self, request: contract.ChatId, _call: Call) -> contract.Turns:
        """The rounds of a chat."""
        return contract.Turns(self._catalog.chats.turns(request.id))

    @serves(contract.CHATS)
    def chats(self, _request: Nothing, _call: Call) -> contract.Chats:
        """Recent chats."""
        return contract.Chats(self._catalog.chats.chats())

    @serves(contract.DELETE_CHAT)
    def delete_chat(self, request: contract.ChatId, _call: Call) -> Nothing:
        """Forget a chat."""
        self._catalog.chats.delete(request.id)
        return Nothing()

    def _shelf(self, collection: str, chunking: contract.Chunking) -> Shelf:
        """The collection to add to, made when it is missing."""
        check_chunking(chunking)
        self._catalog.create(collection, "", exist_ok=True)
        return self._catalog.shelf(collection)

    def _add(self, collection: str, chunking: contract.Chunking, contents: Sequence[Given]) -> contract.JobRecord:
        for given in contents:
            check_size(len(given.content), self._max_bytes)
        shelf = self._shelf(collection, chunking)
        with self._parts.database.write() as tx:
            job = self._catalog.jobs.open(tx, shelf.id, shelf.name, chunking)
            for given in contents:
                sha256 = self._parts.originals.keep(tx, given.content)
                new = Incoming(given.name, given.media_type, sha256, len(given.content))
                self._catalog.jobs.add(tx, job, new)
        return self._queued(job)

    def _queued(self, job: OpenJob) -> contract.JobRecord:
        self._catalog.jobs.finish(job.id)
        self._parts.ingest.wake()
        return self._catalog.jobs.get(job.id)


def _some(items: Sequence[object], what: str) -> None:
    if not items:
        raise BadRequest(f"{what}: there is nothing to add")


def _media_type(name: str) -> str:
    return "text/markdown" if name.lower().endswith((".md", ".markdown")) else "text/plain"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
