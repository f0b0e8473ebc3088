"""Handlers for collections, their documents and chunks, and searching them."""

from __future__ import annotations

from clients import index as contract
from clients.wire import Nothing
from services.service import Call, serves

from .base import Handlers


class DocumentHandlers(Handlers):
    """Collections, documents, chunks, search."""

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
        return self._catalog.listing.page(self._catalog.shelf(request.collection).id, request)

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

    @serves(contract.SEARCH)
    def search(self, request: contract.Search, call: Call) -> contract.Hits:
        """Find chunks."""
        with self._parts.precedence.searching():
            return self._parts.searcher.search(request, call)
