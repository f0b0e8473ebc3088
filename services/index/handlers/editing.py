"""Handlers for what a person changes in a document's chunks."""

from __future__ import annotations

from clients import editing
from clients import index as contract
from services.service import Call, serves

from .base import Handlers


class EditingHandlers(Handlers):
    """Edit, merge, split, switch, revert."""

    @serves(editing.EDIT_CHUNK)
    def edit_chunk(self, request: editing.EditChunk, _call: Call) -> contract.Chunk:
        """Give a chunk another text."""
        return self._parts.editor.edit(request.id, request.text)

    @serves(editing.MERGE_CHUNKS)
    def merge_chunks(self, request: editing.MergeChunks, _call: Call) -> contract.Chunk:
        """Let a chunk take in the one after it."""
        return self._parts.editor.merge(request.id)

    @serves(editing.SPLIT_CHUNK)
    def split_chunk(self, request: editing.SplitChunk, _call: Call) -> contract.Chunks:
        """Cut a chunk in two."""
        parts = self._parts.editor.split(request.id, request.at)
        return contract.Chunks(parts, len(parts))

    @serves(editing.SWITCH_CHUNKS)
    def switch_chunks(self, request: editing.SwitchChunks, _call: Call) -> contract.Chunks:
        """Let searches find chunks, or not."""
        chunks = self._parts.editor.switch(request.ids, is_enabled=request.is_enabled)
        return contract.Chunks(chunks, len(chunks))

    @serves(editing.REVERT_CHUNK)
    def revert_chunk(self, request: editing.RevertChunk, _call: Call) -> contract.Chunk:
        """Give a chunk the text that it was cut with."""
        return self._parts.editor.revert(request.id)

    @serves(editing.RECUT_DOCUMENT)
    def recut_document(self, request: contract.DocumentId, _call: Call) -> contract.JobRecord:
        """Cut a document anew from its original."""
        job = self._parts.editor.recut(request.id)
        self._parts.ingest.wake()
        return self._catalog.jobs.get(job.id)
