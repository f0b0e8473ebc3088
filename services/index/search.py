"""Which chunks answer a question best: by vectors, by words, or by both and a reranker's word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from clients.errors import BadRequest, RagqError
from clients.index import Hit, Hits, HitScore, Search
from clients.wire import Clock
from services.service import Call

from .catalog import Catalog, Shelf
from .embedding import LLM, embed_question
from .entries import Found
from .families import Families, one_of_each
from .floors import above, check_floors, told
from .fusion import Signals, best_first, fuse, ranks
from .ingest import check_model
from .keyword import KeywordIndexes
from .reranking import MAX_CANDIDATES, Reranking, Trail
from .scopes import Scope, Scopes
from .stores.base import VectorStore

MAX_TOP_K = 1000
MAX_COPIES = 100
MAX_QUERY_CHARS = 20_000
DEPTH = 50
MAX_TRIES = 3
COVERING_HITS = 3
EMBED_TIMEOUT_S = 10.0


class Searcher:
    """Searches collections."""

    def __init__(self, catalog: Catalog, store: VectorStore, keywords: KeywordIndexes, llm: LLM, clock: Clock) -> None:
        self._catalog = catalog
        self._store = store
        self._keywords = keywords
        self._llm = llm
        self._reranking = Reranking(llm, clock)
        self._families = Families(catalog.database)
        self._scopes = Scopes(catalog.database, catalog.documents.entries)

    def search(self, request: Search, call: Call) -> Hits:
        """Find chunks, best first.

        Raises:
            NotFound: no such collection.
            BadRequest: a field is wrong, or the vector's dimension is not the collection's.
            RagqError: in dense mode, when the question cannot be embedded; hybrid goes on with words.
        """
        _check(request)
        shelf, scope, trail = self._looked(request, call)
        return self._answer(shelf, scope, request, trail, call)

    def _looked(self, request: Search, call: Call) -> tuple[Shelf, Scope, Trail]:
        """What each signal finds, by a question and vectors of one model.

        The vectors may be replaced by those of another model at any moment (see `services.index.shadows`): then the
        question's vector is of no use, and the search begins again.
        """
        tries = MAX_TRIES
        while True:
            tries -= 1
            shelf, trail = self._catalog.shelf(request.collection), Trail()
            scope = self._scopes.of(shelf.id, request.within)
            try:
                self._look(shelf, scope, request, trail, call)
            except RagqError:
                if not tries or self._catalog.shelf_of(shelf.id) == shelf:
                    raise
            else:
                if not tries or self._catalog.shelf_of(shelf.id) == shelf:
                    return shelf, scope, trail

    def _look(self, shelf: Shelf, scope: Scope, request: Search, trail: Trail, call: Call) -> None:
        trail.notes += scope.notes
        if scope.is_empty:
            return
        vector = None
        if request.mode != "keyword" and shelf.dimension:
            vector = self._nearest(shelf, scope, request, trail, call)
        if request.mode != "dense" and request.query.strip():
            call.check()
            with trail.timed("keyword"):
                trail.signals["keyword"] = self._matching(shelf, request.query, _depth(request), scope.entries)
        if vector is not None and len(trail.signals) > 1:
            self._complete(shelf, request, vector, trail)

    def _nearest(self, shelf: Shelf, scope: Scope, request: Search, trail: Trail, call: Call) -> np.ndarray | None:
        """Search by vectors; the question's vector, or None when hybrid search has to do without."""
        try:
            with trail.timed("embed"):
                vector = self._vector(shelf, request, call)
            with trail.timed("dense"):
                trail.signals["dense"] = self._near(shelf, vector, _depth(request), scope.entries)
        except RagqError as error:
            if request.mode == "dense" or request.vector is not None:
                raise
            trail.notes.append(f"searched by words only: {error.message}")
            return None
        return vector

    def _near(self, shelf: Shelf, vector: np.ndarray, k: int, among: Sequence[str] | None = None) -> dict[str, float]:
        return {hit.id: hit.score for hit in self._store.query(shelf.store_key, vector, k, among)[0]}

    def _matching(self, shelf: Shelf, query: str, k: int, among: Sequence[str] | None = None) -> dict[str, float]:
        return {match.id: match.score for match in self._keywords.of(shelf.key).search(query, k, among)}

    def _complete(self, shelf: Shelf, request: Search, vector: np.ndarray, trail: Trail) -> None:
        """Let each signal score the other's candidates too: what it did not rank is not its worst."""
        dense, keyword = trail.signals["dense"], trail.signals["keyword"]
        unseen, unmatched = [id_ for id_ in keyword if id_ not in dense], [id_ for id_ in dense if id_ not in keyword]
        dense |= self._near(shelf, vector, len(unseen), unseen)
        keyword |= dict.fromkeys(unmatched, 0.0) | self._matching(shelf, request.query, len(unmatched), unmatched)

    def _vector(self, shelf: Shelf, request: Search, call: Call) -> np.ndarray:
        """The question's vector, float32 [1, dim]."""
        if request.vector is not None:
            vector = np.asarray(request.vector, np.float32).reshape(1, -1)
            if vector.shape[1] != shelf.dimension or not np.isfinite(vector).all():
                raise BadRequest(f"vector: {shelf.dimension} finite numbers are wanted, {vector.shape[1]} came")
            return vector
        timeout_s = min(EMBED_TIMEOUT_S, 0.5 * call.remaining_s)
        vector = embed_question(self._llm, request.query, shelf.maker, timeout_s)
        check_model(shelf, shelf.model, vector.shape[1])
        return vector

    def _answer(self, shelf: Shelf, scope: Scope, request: Search, trail: Trail, call: Call) -> Hits:
        entries, candidates = self._catalog.documents.entries, {id_ for s in trail.signals.values() for id_ in s}
        known = entries.found(shelf.id, candidates, request.without, scope.documents)
        for name, scores in trail.signals.items():
            trail.signals[name] = {id_: score for id_, score in scores.items() if id_ in known}
        order, kind = _order(request, trail.signals)
        order = above(order, trail.signals, request.at_least)
        if request.rerank and order:
            call.check()
            with trail.timed("rerank"):
                order, kind = self._reranking.apply(request, order, kind, known, trail, call)
            order = above(order, trail.signals, request.at_least)
        trail.notes += told(order, trail.signals, request.at_least)
        best = list(one_of_each(order, known).items())[: request.top_k]
        chosen = [id_ for id_, _ in best]
        copies = entries.copies(shelf.id, chosen, request.copies, request.without, scope.documents)
        hits = self._families.widened(_hits(best, kind, copies, trail.signals))[: request.top_k]
        model = shelf.model if "dense" in trail.signals else ""
        return Hits(hits, trail.timings, self._coverage(shelf, request.query, hits), trail.notes, model)

    def _coverage(self, shelf: Shelf, question: str, hits: Sequence[Hit]) -> float:
        """Share of the question's telling words, weighed by rarity, that the best hits contain."""
        index = self._keywords.of(shelf.key)
        words = index.words(question)
        if not words or not hits:
            return 0.0
        rarity = index.rarity(words)
        there: set[str] = set()
        for hit in hits[:COVERING_HITS]:
            there |= index.spelled(f"{hit.heading}\n{hit.text}")
        total = sum(rarity.values())
        return sum(rarity[word] for word in words if word in there) / total if total else 0.0


def _check(request: Search) -> None:
    if not 1 <= request.top_k <= MAX_TOP_K:
        raise BadRequest(f"top_k: 1 to {MAX_TOP_K}")
    if not 1 <= request.copies <= MAX_COPIES:
        raise BadRequest(f"copies: 1 to {MAX_COPIES}")
    check_floors(request.at_least)
    if not request.query.strip() and (request.vector is None or request.mode == "keyword"):
        raise BadRequest("the query is empty")
    if len(request.query) > MAX_QUERY_CHARS:
        raise BadRequest(f"the query has {len(request.query)} characters; the limit is {MAX_QUERY_CHARS}")


def _depth(request: Search) -> int:
    """How many each signal is asked for: more than are wanted, because what it ranks alone may be far down."""
    return 2 * max(request.top_k, DEPTH if request.mode == "hybrid" else MAX_CANDIDATES if request.rerank else 0)


def _order(request: Search, signals: Signals) -> tuple[dict[str, float], HitScore]:
    """Scores of all candidates, best first, before reranking."""
    if request.mode == "dense" or not signals.get("keyword"):
        return best_first(signals.get("dense", {})), "similarity"
    if request.mode == "keyword" or not signals.get("dense"):
        return best_first(signals["keyword"]), "bm25"
    return fuse(signals), "fused"


def _hits(
    order: Sequence[tuple[str, float]],
    kind: HitScore,
    copies: Mapping[str, Sequence[Found]],
    signals: Signals,
) -> Iterator[tuple[Hit, Found]]:
    """The chunks of the entries in their order; those of one entry follow one another."""
    places = {name: ranks(scores) for name, scores in signals.items()}
    for id_, score in order:
        scores_of = {name: scores[id_] for name, scores in signals.items() if id_ in scores}
        ranks_of = {name: place[id_] for name, place in places.items() if id_ in place}
        for found in copies.get(id_, ()):
            chunk = found.chunk
            hit = Hit(
                chunk_id=chunk.id, document_id=chunk.document_id, document=found.document, text=chunk.text,
                score=score, score_kind=kind, start=chunk.start, end=chunk.end, page=chunk.page,
                heading=chunk.heading, scores=scores_of, ranks=ranks_of, num_copies=found.num_copies,
                source=found.source,
            )  # fmt: skip
            yield hit, found
