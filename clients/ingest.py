"""How documents are given to the Index service, and how far it is with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .documents import Document

JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
JobKind = Literal["add", "web", "watch", "import", "reindex", "retry", "recut", "repair", "resume"]
Strategy = Literal["sentences", "paragraphs", "cells", "parents"]
UPLOAD_PART_BYTES = 1 << 20
DEFAULT_CHUNK_SIZE = 512
DEFAULT_OVERLAP = 64
FINISHED = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Chunking:
    """How a document is cut.

    Attributes:
        size: longest chunk, in characters of Latin script; a CJK character counts as two.
        overlap: characters repeated from the chunk before, at a sentence start; less than ``size``.
        by_line: each non-empty line is one chunk (hand-typed lists); a row of a table is a line.
        strategy: ``sentences`` fills chunks of ``size`` with whole sentences; ``paragraphs`` joins whole paragraphs
            to 50 to 200 words, whatever ``size`` says; ``cells`` makes each cell of a table a chunk;
            ``parents`` finds by chunks of ``size`` without overlap, and gives the section around what was found, up to
            four times ``size``.
    """

    size: int = DEFAULT_CHUNK_SIZE
    overlap: int = DEFAULT_OVERLAP
    by_line: bool = False
    strategy: Strategy = "sentences"


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
        model: what a collection is embedded anew by; empty for a job that adds documents.
        kind: what the job is for: documents that somebody gave (``add``), pages to fetch (``web``), files of a
            followed directory (``watch``), a packed collection (``import``), new vectors (``reindex``); or
            documents that had failed (``retry``), lose the changes made by hand (``recut``), were not whole
            (``repair``), or that no job waited for when the service started (``resume``).
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
    model: str = ""
    kind: JobKind = "add"


@dataclass(frozen=True, slots=True)
class JobId:
    """Names a job."""

    id: str


@dataclass(frozen=True, slots=True)
class Jobs:
    """Jobs, newest first."""

    jobs: list[JobRecord]
