"""POST /v1/search: the passages of a collection that a query finds, with every score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from clients.errors import BadRequest
from clients.index import Mode, Within
from clients.mesh import Ragq

from .http_requests import MAX_HITS, known, with_documents


@dataclass(frozen=True, slots=True)
class SearchBody:
    """POST /v1/search.

    Attributes:
        copies: how many of the chunks that have equal text may be among the hits.
        within: the documents to search.
        at_least: the least scores of a hit, by signal.
    """

    collection: str
    query: str
    top_k: int = 10
    mode: Mode = "hybrid"
    rerank: bool = True
    copies: int = 1
    within: Within | None = None
    at_least: dict[str, float] = field(default_factory=dict)


def read_search(body: Mapping[str, Any]) -> SearchBody:
    """A search request; BadRequest for an empty query or a number out of range."""
    request = known(SearchBody, with_documents(body))
    if not request.query.strip():
        raise BadRequest("query: is empty")
    if not 1 <= request.top_k <= MAX_HITS:
        raise BadRequest(f"top_k: 1 to {MAX_HITS}")
    return request


def found(mesh: Ragq, body: SearchBody) -> dict[str, object]:
    """The answer to a search request, best hit first; NotFound when there is no such collection."""
    hits = mesh.index.find(
        body.collection,
        body.query,
        body.top_k,
        body.mode,
        rerank=body.rerank,
        copies=body.copies,
        within=body.within,
        at_least=body.at_least,
    )
    data = [{"object": "hit", **asdict(hit)} for hit in hits.hits]
    about = {"coverage": hits.coverage, "timings": hits.timings, "notes": hits.notes}
    return {"object": "list", "collection": body.collection, "data": data, **about}
