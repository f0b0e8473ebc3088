"""What the Index service says of collections, documents and chunks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["queued", "parsing", "chunking", "embedding", "ready", "failed", "cancelled"]


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
        source: URL of the web page that it is; empty for all else.
        fetched_at: when that was fetched last, seconds since 1970, UTC.
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
    source: str = ""
    fetched_at: float = 0.0


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
        is_enabled: whether searches find it.
        is_edited: whether its text is not the one that it was cut with.
    """

    id: str
    document_id: str
    position: int
    text: str
    start: int
    end: int
    page: int = 0
    heading: str = ""
    is_enabled: bool = True
    is_edited: bool = False


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


def content_of(text: str, heading: str) -> str:
    """The text below its headings, a path joined by `` > ``; headings that the text begins with are not repeated."""
    last = heading.rpartition(" > ")[2]
    return text if not last or last in text[: len(last) + 8] else f"{heading}\n{text}"
