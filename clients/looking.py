"""Which passages does a question find, and do they suffice: search, decide, and search once more by words."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from .answers import Decision
from .asking import Ask
from .calibration import scorers_of
from .decision import Gate, decide, gate_of
from .index import Collection, Hit, Hits, IndexClient, Mode
from .llm import LLMClient, Sentence
from .within import Within

MAX_SENTENCES = 3


@dataclass(frozen=True, slots=True)
class Look:
    """What was found, the sentences that answer best, and whether they suffice."""

    hits: Hits
    sentences: list[Sentence]
    decision: Decision


@dataclass(slots=True)
class Looking:
    """Looks into one collection.

    Attributes:
        timings: seconds per stage: ``search``, ``second_search``, ``extract``.
        within: the documents to look into; None for all.
    """

    llm: LLMClient
    index: IndexClient
    settings: Ask
    collection: str
    timings: dict[str, float] = field(default_factory=dict)
    within: Within | None = None

    def gate(self) -> tuple[Gate, list[str]]:
        """How much is enough here, and a note when what was fitted does not hold for the models of now.

        Raises:
            NotFound: no such collection.
        """
        fitted = self.index.calibrations(self.collection)
        if not fitted:
            return gate_of(self.settings), []
        scorers = scorers_of(self.llm.models(), self.settings.top_k, self._about().model)
        for calibration in fitted:
            if calibration.scorers == scorers:
                return gate_of(self.settings, calibration), []
        again = f"ragq calibrate -c {self.collection} fits it again"
        return gate_of(self.settings), [
            f"the calibration is not used: it was fitted to {fitted[0].scorers}, and now there are {scorers}; {again}"
        ]

    def look(self, query: str, gate: Gate, without: Sequence[str] = ()) -> Look:
        """Search, and decide; where it is unsure, search by words too and decide on what both found.

        Args:
            query: the question, as it is searched for.
            gate: how much is enough.
            without: ids of documents to do as if the collection lacked them.
        """
        first = self.first(query, gate, without)
        if not gate.is_unsure(first.decision.confidence):
            return first
        second = self._search(query, "keyword", without)
        if {h.chunk_id for h in second.hits} <= {h.chunk_id for h in first.hits.hits}:
            return first
        both = _union(first.hits, second)
        sentences = self._sentences(query, both)
        decision = decide(both, sentences, gate, question=query, is_second=True)
        return first if decision.route == "absent" else Look(both, sentences, decision)

    def first(self, query: str, gate: Gate, without: Sequence[str] = ()) -> Look:
        """Search by meaning and words, and decide."""
        hits = self._search(query, "hybrid", without)
        sentences = self._sentences(query, hits)
        decision = decide(hits, sentences, gate, question=query)
        return Look(hits, sentences, self._explained(hits, decision))

    def _explained(self, hits: Hits, decision: Decision) -> Decision:
        """The decision, with a cause that only the collection or the search's stages can tell."""
        if decision.route != "absent":
            return decision
        here = self._about()
        num_pending = self._num_pending(here)
        decision = replace(decision, num_pending=num_pending)
        if not hits.hits and not here.num_chunks:
            return _without_passages(decision)
        if num_pending:
            decision = replace(decision, reason=f"{decision.reason}; {num_pending} documents are not ready yet")
        if any(note.startswith("searched by words only") for note in hits.notes):
            reason = f"a part of the search failed, so that nothing can be said for sure; {decision.reason}"
            return replace(decision, cause="incomplete", reason=reason)
        return decision

    def _about(self) -> Collection:
        empty = Collection(self.collection, self.collection)
        return next((c for c in self.index.collections() if c.name == self.collection), empty)

    def _num_pending(self, here: Collection) -> int:
        """Documents that are still being read or embedded."""
        unfinished = here.num_documents - here.num_failed
        for status in ("ready", "cancelled"):
            if unfinished > 0:
                unfinished -= self.index.documents(self.collection, status=status, limit=1).total
        return max(0, unfinished)

    def _search(self, query: str, mode: Mode, without: Sequence[str]) -> Hits:
        began = time.monotonic()
        top_k, within = self.settings.top_k, self.within
        if without:
            hits = self.index.find_without(self.collection, query, without, top_k, mode, within=within)
        else:
            hits = self.index.find(self.collection, query, top_k, mode, within=within)
        self.timings["search" if mode == "hybrid" else "second_search"] = time.monotonic() - began
        return hits

    def _sentences(self, query: str, hits: Hits) -> list[Sentence]:
        if not hits.hits:
            return []
        began = time.monotonic()
        found = self.llm.extract(query, [h.text for h in hits.hits], MAX_SENTENCES)
        self.timings["extract"] = self.timings.get("extract", 0.0) + time.monotonic() - began
        return found


def _without_passages(decision: Decision) -> Decision:
    """The decision on a collection with nothing to search."""
    if not decision.num_pending:
        return replace(decision, cause="empty", reason="the collection has no passages yet")
    reason = f"the collection has no passages yet: {decision.num_pending} documents are not ready yet"
    return replace(decision, cause="pending", reason=reason)


def _union(first: Hits, second: Hits) -> Hits:
    """All that two searches found, best first.

    A reranker's scores of both are on one scale; without them the searches take turns. What the best passages of
    either cover, the passages of both do.
    """
    known = {hit.chunk_id: hit for hit in [*second.hits, *first.hits]}
    turns = [hit.chunk_id for pair in zip_longest(first.hits, second.hits) for hit in pair if hit]
    merged = [known[id_] for id_ in dict.fromkeys(turns)]
    if merged[0].scores.get("rerank") is not None:
        merged.sort(key=_by_reranker, reverse=True)
    notes = list(dict.fromkeys([*first.notes, *second.notes]))
    return replace(first, hits=merged, coverage=max(first.coverage, second.coverage), notes=notes)


def _by_reranker(hit: Hit) -> float:
    return hit.scores.get("rerank", -math.inf)
