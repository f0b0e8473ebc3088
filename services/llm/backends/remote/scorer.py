"""Scores of documents from a server (POST /rerank of Cohere's, Jina's and vLLM's shape, or of TEI's)."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from clients.errors import BackendError, BadRequest, ModelNotLoaded, RagqError, TooLarge
from clients.llm import ScoreKind
from services.llm.backends.base import PreparedPair
from services.models import Card

from .options import Kind, Options
from .probe import PROBE_S
from .server import Answer, Server
from .texts import halved, prepare_pair, unpack

log = logging.getLogger(__name__)

BUDGET_TOKENS = 16384
ANY_WASTE = 1 << 30
QUERY = "What is the capital of France?"
DOCUMENTS = ["Paris is the capital of France.", "Bananas are yellow."]
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Shape:
    """How a server wants to be asked for scores, and where.

    Attributes:
        field: where a result has its score.
    """

    path: str
    style: Literal["cohere", "tei"]
    field: str = ""

    def body(self, model: str, query: str, documents: list[str], kind: Kind) -> dict[str, object]:
        """The request."""
        if self.style == "tei":
            return {"query": query, "texts": documents, "raw_scores": True, "truncate": True}
        body: dict[str, object] = {"model": model, "query": query, "documents": documents, "top_n": len(documents)}
        return body | ({"truncate_prompt_tokens": -1} if kind == "vllm" else {})


class RemoteScorer:
    """A reranking model behind a server.

    Raises:
        RagqError: the server gives no scores; says why.
    """

    max_waste_tokens = ANY_WASTE
    budget_tokens = BUDGET_TOKENS

    def __init__(self, server: Server, card: Card, options: Options, server_kind: Kind) -> None:
        self.card = card
        self.num_streams = options.streams
        self._server, self._options, self._server_kind = server, options, server_kind
        self._shape, value = self._find_shape()
        self._shape, self.kind = self._find_scale(value)

    def prepare(self, pairs: Sequence[tuple[str, str]], *, instruction: str = "") -> list[PreparedPair]:
        """As they are; the server has the template, and cuts what is too long.

        Raises:
            BadRequest: there is an instruction, for which these interfaces have no place.
        """
        if instruction:
            raise BadRequest("a remote reranker takes no instruction", help="leave it out, or put it into the query")
        return [prepare_pair(query, document) for query, document in pairs]

    def run(self, batch: Sequence[PreparedPair], *, is_alone: bool = False) -> np.ndarray:
        """As many requests as the batch needs, one after another; each holds one query."""
        scores = np.zeros(len(batch), np.float32)
        by_query: dict[tuple[int, ...], list[tuple[int, str]]] = {}
        for i, pair in enumerate(batch):
            by_query.setdefault(pair.shared, []).append((i, unpack(pair.ids)))
        for shared, documents in by_query.items():
            query = unpack(shared)
            for start in range(0, len(documents), self._options.batch):
                part = documents[start : start + self._options.batch]
                scores[[i for i, _ in part]] = self._score(query, [text for _, text in part])
        return scores

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def _score(self, query: str, documents: list[str]) -> list[float]:
        """One request; when a document is too long, one for each, and that one cut."""
        try:
            value = self._server.ask_again(self._shape.path, self._body(self._shape, query, documents))
        except TooLarge:
            if len(documents) > 1:
                middle = len(documents) // 2
                return self._score(query, documents[:middle]) + self._score(query, documents[middle:])
            if len(documents[0]) < 2:
                raise
            return self._score(query, [halved(documents[0])])
        scores = read_scores(value, len(documents), self._shape)
        if self.kind != "logit" and not all(-TOLERANCE <= score <= 1 + TOLERANCE for score in scores):
            raise BackendError(
                f"{self._shape.path}: a score of {max(scores, key=abs):g}, which is no {self.kind}",
                help="set options.scores to logit",
            )
        return scores

    def _body(self, shape: Shape, query: str, documents: list[str]) -> dict[str, object]:
        return shape.body(self.card.name, query, documents, self._server_kind) | self._options.body

    def _find_shape(self) -> tuple[Shape, Any]:
        """The first shape that is answered, with the answer."""
        address = self._server.address
        paths = dict.fromkeys((f"{address.path}/rerank", f"{address.root.path}/rerank"))
        refused: list[Answer] = []
        for path in paths:
            for shape in (Shape(path, "cohere", "relevance_score"), Shape(path, "tei", "score")):
                answer = self._server.ask(path, self._body(shape, QUERY, DOCUMENTS), timeout_s=PROBE_S)
                if answer.is_ok or answer.status not in (400, 404, 405, 422, 424, 500, 501):
                    return shape, answer.value()
                refused.append(answer)
        raise self._no_shape(refused)

    def _no_shape(self, refused: list[Answer]) -> RagqError:
        """The refusal that says most: one of an endpoint that is there."""
        telling = next((answer for answer in refused if answer.status not in (404, 405)), refused[0])
        try:
            telling.value()
        except RagqError as error:
            return ModelNotLoaded(f"no scores from '{self.card.name}': {error.message}", help=error.help)
        raise AssertionError("a refusal has no value")

    def _find_scale(self, value: Any) -> tuple[Shape, ScoreKind]:
        """Where the scores are and which scale they have, by two documents of which one fits."""
        shape = self._shape
        scores = read_scores(value, len(DOCUMENTS), shape)
        if not scores[0] > scores[1]:
            log.warning("%s scores a document that fits no higher than one that does not; "
                        "is its chat template or its head missing?", self.card.name)  # fmt: skip
        if self._options.scores:
            return shape, self._options.scores
        told = _told_kind(value)
        if told == "similarity":
            return shape, "similarity"
        if told:
            return replace(shape, field="logit"), "logit"
        if shape.style == "tei" or not all(0.0 <= score <= 1.0 for score in scores):
            return shape, "logit"
        return shape, "probability"


def _told_kind(value: Any) -> str:
    """The scale that the face of another ragq tells; its probabilities come with their logits."""
    meta = value.get("meta") if isinstance(value, Mapping) else None
    kind = meta.get("score_kind") if isinstance(meta, Mapping) else None
    return str(kind) if kind in get_args(ScoreKind) else ""


def read_scores(value: Any, count: int, shape: Shape) -> list[float]:
    """The scores of an answer in the order of the documents.

    Raises:
        BackendError: one is missing, comes twice, belongs to no document, or is no number.
    """
    entries = value
    if isinstance(value, Mapping):
        entries = value.get("results", value.get("data"))
    if not isinstance(entries, list):
        raise BackendError(f"{shape.path}: the answer has no list of results")
    found: dict[int, float] = {}
    for entry in entries:
        index = entry.get("index") if isinstance(entry, Mapping) else None
        if not isinstance(index, int) or not 0 <= index < count or index in found:
            raise BackendError(f"{shape.path}: a score for document {index}, of {count}")
        score = entry.get(shape.field, entry.get("score"))
        if not isinstance(score, int | float) or not math.isfinite(score):
            raise BackendError(f"{shape.path}: the score of document {index} is {score}, not a number")
        found[index] = float(score)
    if len(found) < count:
        raise BackendError(f"{shape.path}: {len(found)} scores for {count} documents")
    return [found[i] for i in range(count)]
