"""Handlers that take documents in, and tell how far each job is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clients import index as contract
from clients.errors import BadRequest
from clients.supplying import ADD_VECTORS, AddVectors
from clients.wire import Nothing
from services.index.catalog import Shelf
from services.index.chunking import check as check_chunking
from services.index.documents import Incoming
from services.index.ingest import check_model
from services.index.intake import check_size, listed
from services.index.jobs import OpenJob
from services.index.supplied import checked, put, settled
from services.service import Call, serves

from .base import Handlers


@dataclass(frozen=True, slots=True)
class Given:
    """A content to add; an empty media type lets it be looked at."""

    name: str
    content: bytes
    media_type: str = ""


class AddingHandlers(Handlers):
    """Texts, uploads, files of the service's own disk; jobs."""

    @serves(contract.RETRY_DOCUMENT)
    def retry_document(self, request: contract.DocumentId, _call: Call) -> contract.JobRecord:
        """Queue a failed document again."""
        return self._queued(self._catalog.jobs.retry(request.id))

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
                self._catalog.items.add_file(tx, job.id, str(file.path), file.name, file.size_bytes)
        return self._queued(job)

    @serves(ADD_VECTORS)
    def add_vectors(self, request: AddVectors, _call: Call) -> contract.JobRecord:
        """Queue a document whose chunks and vectors are given."""
        given, chunking = checked(request), contract.Chunking()
        dimension = given.vectors.shape[1]
        shelf = settled(self._catalog, self._shelf(request.collection, chunking), request.model, dimension)
        self._parts.publisher.open(shelf)
        with self._parts.database.write() as tx:
            # Another model may have taken its place since.
            shelf = self._catalog.shelf_in(tx, shelf.id) or self._catalog.shelf(request.collection)
            check_model(shelf, request.model or shelf.model, dimension)
            job = self._catalog.jobs.open(tx, shelf.id, shelf.name, chunking)
            put(tx, self._catalog, self._parts.originals, shelf, job, given)
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

    def _shelf(self, collection: str, chunking: contract.Chunking) -> Shelf:
        """The collection to add to, made when it is missing."""
        check_chunking(chunking)
        self._catalog.create(collection, "", exist_ok=True)
        return self._catalog.shelf(collection)

    def _add(self, collection: str, chunking: contract.Chunking, contents: Sequence[Given]) -> contract.JobRecord:
        for given in contents:
            check_size(len(given.content), self.config.index.max_file_mb << 20)
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
