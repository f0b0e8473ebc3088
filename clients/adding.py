"""How documents are handed to the Index service, and how a program follows them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from .client import Client
from .documents import DocumentId
from .errors import BadRequest
from .ingest import (
    FINISHED,
    UPLOAD_PART_BYTES,
    AddPaths,
    AddTexts,
    AddUploads,
    Chunking,
    JobId,
    JobRecord,
    Jobs,
    Text,
    Upload,
    Uploaded,
    UploadPart,
)
from .web import ADD_URLS, AddUrls
from .wire import Nothing, unary

RETRY_DOCUMENT = unary("index.retry_document", DocumentId, JobRecord)
ADD_TEXTS = unary("index.add_texts", AddTexts, JobRecord)
ADD_PATHS = unary("index.add_paths", AddPaths, JobRecord)
UPLOAD_PART = unary("index.upload_part", UploadPart, Uploaded)
ADD_UPLOADS = unary("index.add_uploads", AddUploads, JobRecord)
JOB = unary("index.job", JobId, JobRecord)
JOBS = unary("index.jobs", Nothing, Jobs)
CANCEL_JOB = unary("index.cancel_job", JobId, JobRecord)
METHODS = (RETRY_DOCUMENT, ADD_TEXTS, ADD_PATHS, UPLOAD_PART, ADD_UPLOADS, JOB, JOBS, CANCEL_JOB)


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


class Adding:
    """The part of the Index service's client that adds documents."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def retry_document(self, id: str) -> Job:  # noqa: A002
        """Queue a failed document again."""
        return Job(self._client, self._client.call(RETRY_DOCUMENT, DocumentId(id)))

    def add(
        self,
        collection: str,
        *,
        texts: Sequence[str | Text] = (),
        paths: Sequence[str | Path] = (),
        urls: Sequence[str] = (),
        files: Sequence[str | Path] | Mapping[str, bytes] = (),
        chunking: Chunking | None = None,
        on_upload: Callable[[str, int, int], None] | None = None,
    ) -> Job:
        """Add documents; give exactly one of texts, paths, urls and files.

        Args:
            collection: made when it is missing.
            texts: texts; a plain string is named after its first words.
            urls: web pages that the service fetches, where its ``index.web.enabled`` lets it; one that changed since it
                was added takes the place of what it was.
            paths: files or directories on the service's disk, below its allowed roots.
            files: files on this machine's disk, or contents by name; they travel in parts.
            chunking: size and overlap.
            on_upload: called with name, bytes sent and bytes in all.

        Returns:
            A job that is already queued; documents show up as they become ready.
        """
        if sum(map(bool, (texts, paths, urls, files))) != 1:
            raise BadRequest("add: give exactly one of texts=, paths=, urls= and files=")
        cut = chunking or Chunking()
        if texts:
            named = [t if isinstance(t, Text) else Text(_title(t), t) for t in texts]
            record = self._client.call(ADD_TEXTS, AddTexts(collection, named, cut))
        elif paths:
            record = self._client.call(ADD_PATHS, AddPaths(collection, [str(p) for p in paths], cut))
        elif urls:
            record = self._client.call(ADD_URLS, AddUrls(collection, list(urls), cut))
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


def _title(text: str) -> str:
    words = " ".join(text.split())
    return words[:60] + ("…" if len(words) > 60 else "") or "empty text"
