"""What one file holds of a collection: a zip archive with the records as JSON lines, raw vectors and the originals.

``manifest.json`` names the format, its version, the collection and the counts; ``documents.jsonl`` and
``chunks.jsonl`` hold a record a line, chunks in the order of ``documents.jsonl``; ``vectors.f32`` holds a little-endian
float32 row for each chunk, ``originals/SHA256`` the bytes of each document. ``pages.jsonl`` says which content was
which version of which web page, and ``calibrations.jsonl`` what was fitted; they are there where there is any.
``testsets.jsonl`` names the test sets that measure the collection, ``questions.jsonl`` and ``runs.jsonl`` hold what
they consist of, in their order. A file says version 2 when there are any, and 1 otherwise, which older readers read.
"""

from __future__ import annotations

from dataclasses import dataclass

from .ingest import Strategy

FORMAT = "ragq collection"
FIRST_VERSION, VERSION = 1, 2
MANIFEST, DOCUMENTS, CHUNKS, VECTORS, ORIGINALS, PAGES, CALIBRATIONS, TESTSETS, QUESTIONS, RUNS = (
    "manifest.json", "documents.jsonl", "chunks.jsonl", "vectors.f32", "originals/", "pages.jsonl",
    "calibrations.jsonl", "testsets.jsonl", "questions.jsonl", "runs.jsonl",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a packed collection says of itself.

    Attributes:
        model, dimension: of the vectors; the file has none when ``num_vectors`` is 0.
        version: of the format that a reader has to know.
    """

    name: str
    title: str
    model: str = ""
    dimension: int = 0
    num_documents: int = 0
    num_chunks: int = 0
    num_vectors: int = 0
    format: str = FORMAT
    version: int = FIRST_VERSION


@dataclass(frozen=True, slots=True)
class PackedDocument:
    """A document; one that was not ready is cut and embedded where it comes in."""

    name: str
    media_type: str
    sha256: str
    size_bytes: int
    language: str
    num_chunks: int
    size: int
    overlap: int
    by_line: bool
    created_at: float
    strategy: Strategy = "sentences"
    source: str = ""
    fetched_at: float = 0.0


@dataclass(frozen=True, slots=True)
class PackedChunk:
    """A chunk, with the text that it was cut with where a person changed it."""

    text: str
    start: int
    end: int
    page: int
    heading: str
    is_enabled: bool = True
    as_cut: str | None = None
    parent: int = -1


@dataclass(frozen=True, slots=True)
class PackedPage:
    """A version of a web page, and the content that it had; see `services.index.versions`."""

    sha256: str
    url: str
    etag: str
    last_modified: str
    fetched_at: float


@dataclass(frozen=True, slots=True)
class PackedTestSet:
    """A test set; its questions and runs are the next ones of their files."""

    name: str
    num_questions: int
    num_runs: int
    created_at: float
    updated_at: float
