"""How a person changes what a document was cut into: edit, merge, split, switch off, take back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .client import Client
from .documents import Chunk, Chunks, DocumentId
from .ingest import JobRecord
from .wire import unary

MAX_CHUNK_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class EditChunk:
    """A new text for a chunk; its id changes with it, and the former id still opens it."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class MergeChunks:
    """A chunk that takes in the one after it."""

    id: str


@dataclass(frozen=True, slots=True)
class SplitChunk:
    """A chunk that becomes two: the second begins at character ``at`` of its text."""

    id: str
    at: int


@dataclass(frozen=True, slots=True)
class SwitchChunks:
    """Chunks of one document that searches find, or find no more."""

    ids: list[str]
    is_enabled: bool


@dataclass(frozen=True, slots=True)
class RevertChunk:
    """A chunk that gets back the text that it was cut with."""

    id: str


EDIT_CHUNK = unary("index.edit_chunk", EditChunk, Chunk, idempotent=False)
MERGE_CHUNKS = unary("index.merge_chunks", MergeChunks, Chunk, idempotent=False)
SPLIT_CHUNK = unary("index.split_chunk", SplitChunk, Chunks, idempotent=False)
SWITCH_CHUNKS = unary("index.switch_chunks", SwitchChunks, Chunks)
REVERT_CHUNK = unary("index.revert_chunk", RevertChunk, Chunk, idempotent=False)
RECUT_DOCUMENT = unary("index.recut_document", DocumentId, JobRecord)
METHODS = (EDIT_CHUNK, MERGE_CHUNKS, SPLIT_CHUNK, SWITCH_CHUNKS, REVERT_CHUNK, RECUT_DOCUMENT)


class Editing:
    """The part of the Index service's client that changes chunks; every change is in the next search.

    Each method raises NotFound for an unknown chunk, and BadRequest for one that somebody changed meanwhile or
    whose document is not ready.
    """

    _client: Client

    def edit_chunk(self, id: str, text: str) -> Chunk:  # noqa: A002 - the word of the contract
        """Give a chunk another text; the chunk with its new id."""
        return self._client.call(EDIT_CHUNK, EditChunk(id, text))

    def merge_chunks(self, id: str) -> Chunk:  # noqa: A002
        """Let a chunk take in the one after it."""
        return self._client.call(MERGE_CHUNKS, MergeChunks(id))

    def split_chunk(self, id: str, at: int) -> list[Chunk]:  # noqa: A002
        """Cut a chunk in two before character ``at`` of its text; both parts."""
        return self._client.call(SPLIT_CHUNK, SplitChunk(id, at)).chunks

    def switch_chunks(self, ids: Sequence[str], *, is_enabled: bool) -> list[Chunk]:
        """Let searches find chunks of a document, or not."""
        return self._client.call(SWITCH_CHUNKS, SwitchChunks(list(ids), is_enabled)).chunks

    def revert_chunk(self, id: str) -> Chunk:  # noqa: A002
        """Give a chunk the text that it was cut with."""
        return self._client.call(REVERT_CHUNK, RevertChunk(id))

    def recut_document(self, id: str) -> JobRecord:  # noqa: A002
        """Cut a document anew from its original: every change by hand is taken back."""
        return self._client.call(RECUT_DOCUMENT, DocumentId(id))
