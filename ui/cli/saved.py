"""How well does a collection do on a test set that the Index service keeps?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from clients.abstention import estimates, paired
from clients.calibration import Estimate, scorers_of
from clients.decision import Gate
from clients.errors import BadRequest, NotFound
from clients.evaluation import Quality, Report, judge
from clients.index import Document
from clients.looking import Look, Looking
from clients.mesh import Ragq
from clients.relevance import absent, finds_answer, judged, ranked
from clients.testsets import Question, QuestionSet, Relevant, Run, digest_of
from clients.ways import Way

from . import show
from .controls import documents, in_flight
from .deciding import figures

NUM_RANKED = 100
MEASURES = ("ndcg_at_10", "mrr_at_10", "recall_at_100")


@dataclass(frozen=True, slots=True)
class Comparison:
    """What another way of searching changes, on the same questions.

    Attributes:
        gains: how much it is above the first, by figure, with 95 % intervals (paired bootstrap).
        p: two-sided, of the difference in nDCG@10.
    """

    way: str
    gains: dict[str, Estimate]
    p: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run over a saved test set.

    Attributes:
        num_abstain: questions that ought not to be answered.
        missing: what answers questions but is not in the collection.
        unjudged: questions that say neither what answers them nor that nothing does; they are left out.
        before: the last run before this one over the same questions, the same way.
    """

    run: Run
    collection: str
    num_abstain: int
    missing: list[Relevant]
    unjudged: int
    before: Run | None = None
    compared: Comparison | None = None


@dataclass(frozen=True, slots=True)
class _Test:
    """A test set on its collection, as both are now."""

    mesh: Ragq
    listed: QuestionSet
    questions: list[Question]
    documents: list[Document]

    @property
    def collection(self) -> str:
        return self.listed.collection

    @property
    def judged(self) -> list[Question]:
        """The questions that say what is right."""
        return [one for one in self.questions if one.answering or one.must_abstain]

    @property
    def rankable(self) -> list[Question]:
        """The questions whose hits can be judged."""
        return [one for one in self.questions if one.answering]


def measure(mesh: Ragq, name: str, way: Way, other: Way | None, limit: int | None) -> Outcome:
    """Ask the questions of a set, judge what is found and decided, and keep the figures with the set.

    Args:
        mesh: where it is.
        name: of the test set.
        way: how to search.
        other: another way to hold against the first.
        limit: how many questions; None for all. Only a run over all is kept.

    Raises:
        NotFound: no such set, or its collection is gone.
        BadRequest: no question of it says what is right.
    """
    test = _opened(mesh, name, limit)
    gate, notes = Looking(mesh.llm, mesh.index, mesh.config.ask, test.collection).gate()
    for note in notes:
        show.note(note)
    report = _report(test, way)
    found = {**(_ranking(report) if report else {}), **_decisions(test, gate)}
    run = _run(test, way, gate, found)
    before = next((r for r in mesh.index.runs(name) if (r.way, r.digest) == (run.way, run.digest)), None)
    if limit is None:
        mesh.index.save_run(run)
    compared = _compared(report, _report(test, other), other) if other else None
    missing = absent(test.questions, test.documents)
    num_abstain = sum(one.must_abstain for one in test.judged)
    unjudged = len(test.questions) - len(test.judged)
    return Outcome(run, test.collection, num_abstain, missing, unjudged, before, compared)


def _opened(mesh: Ragq, name: str, limit: int | None) -> _Test:
    questions = mesh.index.questions(name)[:limit]
    listed = next(one for one in mesh.index.testsets() if one.name == name)
    if all(collection.name != listed.collection for collection in mesh.index.collections()):
        raise NotFound(
            f"the collection '{listed.collection}' that the test set '{name}' measures is gone",
            help="make it again under this name, or add the questions to a set of another collection",
        )
    test = _Test(mesh, listed, questions, list(documents(mesh, listed.collection)))
    if not test.judged:
        raise BadRequest(
            f"no question of '{name}' says what answers it, or that nothing does",
            help=f"ragq testset add {name} QUESTION --document NAME, or --absent",
        )
    return test


def _report(test: _Test, way: Way) -> Report | None:
    """How the questions that have an answer are ranked; None when there are none."""
    if not test.rankable:
        return None

    def rank(one: Question) -> dict[str, float]:
        hits = test.mesh.index.search(test.collection, one.text, NUM_RANKED, way.mode, rerank=way.rerank)
        return ranked(one, hits)

    texts = [one.text for one in test.rankable]
    run = dict(zip(texts, in_flight(rank, test.rankable, "questions"), strict=True))
    return judge(run, {one.text: judged(one) for one in test.rankable})


def _ranking(report: Report) -> dict[str, Estimate]:
    rows = np.array([_row(quality) for quality in report.by_query.values()])

    def mean(chosen: np.ndarray) -> Mapping[str, float]:
        return dict(zip(MEASURES, rows[chosen].mean(axis=0).tolist(), strict=True))

    return estimates(mean, np.arange(len(rows)))


def _row(quality: Quality) -> list[float]:
    return [getattr(quality, name) for name in MEASURES]


def _decisions(test: _Test, gate: Gate) -> dict[str, Estimate]:
    """The decision on every question; where none is to be refused, also as if the documents were missing."""
    plan = list(_plan(test))

    def look(item: tuple[int, Question, list[str]]) -> Look:
        looking = Looking(test.mesh.llm, test.mesh.index, test.mesh.config.ask, test.collection)
        return looking.look(item[1].text, gate, item[2])

    looks = in_flight(look, plan, "decisions")
    is_right = [
        not without and finds_answer(one, found.hits.hits) for (_, one, without), found in zip(plan, looks, strict=True)
    ]
    return figures(looks, np.array(is_right), np.array([number for number, _, _ in plan]))


def _plan(test: _Test) -> Iterator[tuple[int, Question, list[str]]]:
    has_abstain = any(one.must_abstain for one in test.judged)
    for number, one in enumerate(test.judged):
        yield number, one, []
        if not has_abstain and (gold := _gold(one, test.documents)):
            yield number, one, gold


def _gold(question: Question, known: Sequence[Document]) -> list[str]:
    ids = {one.document_id for one in question.answering}
    names = {one.document for one in question.answering}
    return sorted(document.id for document in known if document.id in ids or document.name in names)


def _run(test: _Test, way: Way, gate: Gate, found: dict[str, Estimate]) -> Run:
    settings = {
        "scorers": str(scorers_of(test.mesh.llm.models(), test.mesh.config.ask.top_k)),
        "t_low": f"{gate.low:.3f}",
        "t_high": f"{gate.high:.3f}",
        "calibrated": "yes" if gate.calibration else "no",
        "documents": str(len(test.documents)),
        "chunks": str(sum(document.num_chunks for document in test.documents)),
    }
    num_missing = len(absent(test.questions, test.documents))
    return Run(
        test.listed.name, str(way), _version(), digest_of(test.questions), len(test.questions), num_missing, settings,
        found,
    )  # fmt: skip


def _version() -> str:
    try:
        return version("ragq")
    except PackageNotFoundError:
        return "dev"


def _compared(first: Report | None, second: Report | None, way: Way) -> Comparison:
    if first is None or second is None:
        raise BadRequest("no question of the test set has an answer, so two ways cannot be compared")
    order = sorted(first.by_query)
    gains: dict[str, Any] = {}
    for name in MEASURES:
        one, two = (np.array([getattr(r.by_query[q], name) for q in order]) for r in (first, second))
        gains[name] = paired(one, two)
    return Comparison(str(way), {name: gain for name, (gain, _) in gains.items()}, gains["ndcg_at_10"][1])
