"""What does a passage say of itself to other frameworks, so that an answer can cite it?"""

from __future__ import annotations

from .searching import Hit


def facts_of(hit: Hit, collection: str) -> dict[str, object]:
    """Where a hit stands, and how it was found.

    Returns:
        ``document`` and ``source`` (the address of a web page, else the document's name), ``page`` (from 1; 0 where
        the format has none), ``heading``, ``start`` and ``end`` in the document's text, ``chunk_id``, ``document_id``,
        ``collection``; ``score_kind``, ``scores`` and ``ranks`` of each signal, ``num_copies``.
    """
    return {
        "source": hit.source or hit.document, "document": hit.document, "document_id": hit.document_id,
        "chunk_id": hit.chunk_id, "collection": collection, "page": hit.page, "heading": hit.heading,
        "start": hit.start, "end": hit.end, "score_kind": hit.score_kind, "scores": dict(hit.scores),
        "ranks": dict(hit.ranks), "num_copies": hit.num_copies,
    }  # fmt: skip
