"""POST /rerank in the shapes of Cohere, Jina, vLLM, infinity, Voyage and TEI, and /score in that of vLLM."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clients.errors import BadRequest, NotFound, TooLarge
from clients.llm import RERANK, SCORE, Ranked, Scores
from clients.mesh import Ragq
from clients.scoring import merged, ranked, rerank_requests, score_requests

from .http_models import no_model
from .http_requests import known, refuse_empty

MAX_DOCUMENTS = 1000
Reply = dict[str, object] | list[dict[str, object]]


@dataclass(frozen=True, slots=True)
class RerankBody:
    """POST /rerank.

    Attributes:
        texts: TEI's word for documents; whoever uses it gets TEI's bare list.
        top_n, top_k: the same thing.
        return_documents, return_text: the same thing.
        raw_scores, use_activation: the score is the logit with the first, or without the second.
        rank_fields: which fields of documents that are objects are read.
        truncate, truncation: whether a document that is too long is cut, or refused.
        max_tokens_per_doc: looked at, not applied: a document is cut where the model ends.
    """

    query: str
    documents: list[str | dict[str, object]] = field(default_factory=list)
    texts: list[str] | None = None
    model: str = ""
    instruction: str = ""
    top_n: int | None = None
    top_k: int | None = None
    return_documents: bool = False
    return_text: bool = False
    raw_scores: bool = False
    use_activation: bool = True
    rank_fields: list[str] = field(default_factory=list)
    truncate: bool | None = None
    truncation: bool | None = None
    truncation_direction: str = "right"
    max_tokens_per_doc: int | None = None

    @property
    def passages(self) -> list[str]:
        """The documents' texts."""
        if self.texts is not None:
            return self.texts
        return [_passage(document, self.rank_fields, i) for i, document in enumerate(self.documents)]

    @property
    def limit(self) -> int | None:
        """How many results come back at most."""
        return self.top_n or self.top_k

    @property
    def may_cut(self) -> bool:
        """Whether documents that are too long are cut; TEI refuses them unless it is told otherwise."""
        if self.truncate is None and self.truncation is None:
            return self.texts is None
        return self.truncate is not False and self.truncation is not False


def _passage(document: str | Mapping[str, object], names: Sequence[str], i: int) -> str:
    if isinstance(document, str):
        return document
    found = {name: document[name] for name in names or ("text",) if name in document}
    if not found:
        raise BadRequest(f"documents[{i}]: expected a text, or an object with {' or '.join(names or ['text'])}")
    texts = [text for text in found.values() if isinstance(text, str)]
    if len(texts) < len(found):
        raise BadRequest(f"documents[{i}]: {', '.join(found)} should hold text")
    return "\n".join(texts)


def read_rerank(body: Mapping[str, Any]) -> RerankBody:
    """A rerank request.

    Raises:
        BadRequest: an empty query or document, no documents, or controls that contradict each other.
        TooLarge: more than 1,000 documents.
    """
    request = known(RerankBody, body)
    if not request.query.strip():
        raise BadRequest("query: is empty")
    if request.texts is not None and request.documents:
        raise BadRequest("texts: is another word for 'documents'; give one of the two")
    name = "documents" if request.texts is None else "texts"
    refuse_too_many(request.documents or request.texts or [], name)
    refuse_empty(request.passages, name)
    _check_controls(request)
    return request


def _check_controls(request: RerankBody) -> None:
    for name in ("top_n", "top_k", "max_tokens_per_doc"):
        value = getattr(request, name)
        if value is not None and value < 1:
            raise BadRequest(f"{name}: {value} is less than 1")
    if request.top_n and request.top_k and request.top_n != request.top_k:
        raise BadRequest(f"top_k: {request.top_k}, but top_n is {request.top_n}, and they mean the same")
    if request.truncation_direction.lower() != "right":
        raise BadRequest("truncation_direction: documents are cut at their end; only 'right' is known")


def refuse_too_many(documents: Sequence[object], name: str) -> None:
    """TooLarge above 1,000."""
    if len(documents) > MAX_DOCUMENTS:
        raise TooLarge(f"{name}: {len(documents)} of them; at most {MAX_DOCUMENTS}", help="send several requests")


def reranked(mesh: Ragq, body: RerankBody, version: str) -> Reply:
    """The answer to a rerank request; best first by logit, ties in the order given.

    Raises:
        WrongRole: the model is there, and does not rerank.
        TooLarge: a document is longer than the model takes, and must not be cut.
    """
    passages = body.passages
    split = rerank_requests(body.query, passages, body.model, body.instruction)
    try:
        reply = merged(mesh.client("llm").call_many(RERANK, split.requests), split.cuts)
    except NotFound as error:
        raise no_model(mesh, "rerank", body.model, error) from None
    if reply.truncated and not body.may_cut:
        name = "documents" if body.texts is None else "texts"
        raise TooLarge(
            f"{name}[{reply.truncated[0]}]: is longer than {reply.model} takes", help="set 'truncate' to true to cut it"
        )
    found = ranked(reply, passages, body.limit)
    return _bare(found, body) if body.texts is not None else _listed(found, body, reply, version)


def _score(result: Ranked, body: RerankBody) -> float:
    return result.logit if body.raw_scores or not body.use_activation else result.score


def _bare(found: list[Ranked], body: RerankBody) -> list[dict[str, object]]:
    """TEI's shape."""
    wants_text = body.return_text or body.return_documents
    return [
        {"index": r.index, "score": _score(r, body), **({"text": r.text} if wants_text else {})} for r in found
    ]  # fmt: skip


def _listed(found: list[Ranked], body: RerankBody, reply: Scores, version: str) -> dict[str, object]:
    """Everybody else's."""
    wants_text = body.return_documents or body.return_text
    results = [
        {
            "index": r.index, "relevance_score": _score(r, body), "logit": r.logit,
            **({"document": {"text": r.text}} if wants_text else {}),
        } for r in found
    ]  # fmt: skip
    return {
        "id": f"rerank-{uuid.uuid4().hex}",
        "object": "list",
        "model": reply.model,
        "results": results,
        "usage": _usage(reply),
        "meta": {"api_version": {"version": version}, "truncated": reply.truncated, "score_kind": reply.kind},
    }


def _usage(reply: Scores) -> dict[str, int]:
    return {"total_tokens": reply.num_tokens, "prompt_tokens": reply.num_tokens}


@dataclass(frozen=True, slots=True)
class ScoreBody:
    """POST /score; one text stands for as many as there are on the other side."""

    text_1: str | list[str]
    text_2: str | list[str]
    model: str = ""
    instruction: str = ""
    use_activation: bool = True

    def pairs(self) -> tuple[list[str], list[str]]:
        """Queries and documents, one of each for a score."""
        queries, documents = ([text] if isinstance(text, str) else text for text in (self.text_1, self.text_2))
        longer = max(len(queries), len(documents))
        return (queries * longer if len(queries) == 1 else queries), (
            documents * longer if len(documents) == 1 else documents
        )


def read_score(body: Mapping[str, Any]) -> ScoreBody:
    """A score request; ``queries`` and ``documents`` are other words for ``text_1`` and ``text_2``.

    Raises:
        BadRequest: an empty text, or sides that make no pairs.
        TooLarge: more than 1,000 pairs.
    """
    words = {"text_1": body.get("queries"), "text_2": body.get("documents")}
    request = known(ScoreBody, {**words, **{name: value for name, value in body.items() if value is not None}})
    queries, documents = request.pairs()
    for name, texts in (("text_1", queries), ("text_2", documents)):
        refuse_too_many(texts, name)
        refuse_empty(texts, name)
    if len(queries) != len(documents):
        raise BadRequest(f"text_2: {len(documents)} texts, and text_1 has {len(queries)}; they do not make pairs")
    return request


def scored(mesh: Ragq, body: ScoreBody) -> dict[str, object]:
    """The answer to a score request, in the order of the pairs."""
    split = score_requests(*body.pairs(), body.model, body.instruction)
    try:
        reply = merged(mesh.client("llm").call_many(SCORE, split.requests), split.cuts)
    except NotFound as error:
        raise no_model(mesh, "rerank", body.model, error) from None
    values: list[float] = (reply.scores if body.use_activation else reply.logits).tolist()
    return {
        "id": f"score-{uuid.uuid4().hex}",
        "object": "list",
        "created": int(time.time()),
        "model": reply.model,
        "data": [{"index": i, "object": "score", "score": value} for i, value in enumerate(values)],
        "usage": _usage(reply),
    }
