"""How well does a collection find what a test set asks for?"""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np

from clients.abstention import paired
from clients.answers import Route
from clients.calibration import Estimate
from clients.errors import BadRequest
from clients.evaluation import Beir, Labelled, Report, best_per_document, judge, read_beir, relevant
from clients.index import Collection, Mode
from clients.mesh import Ragq
from clients.ways import Way, read_way

from . import saved, show
from .deciding import Decided, decided
from .options import json_option, mode_option
from .outcomes import print_outcome
from .progress import meter
from .session import Session
from .testset import collection_name, fill, twins

NUM_RANKED = 100
SPARE = 1.25
IN_FLIGHT = 4
TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures of a run over a test set; the three measures are means, 0 to 1.

    Attributes:
        index_s: seconds to add the corpus, or to find that it is there.
        search_s: seconds for all queries, several in flight.
    """

    dataset: str
    collection: str
    mode: str
    rerank: bool
    num_documents: int
    num_queries: int
    ndcg_at_10: float
    mrr_at_10: float
    recall_at_100: float
    index_s: float
    search_s: float
    compared: Compared | None = None
    decided: Decided | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """What another way of searching changes, on the same queries.

    Attributes:
        mode, rerank: of the other way.
        ndcg_at_10, mrr_at_10, recall_at_100: how much it is above the first, with 95 % intervals (paired bootstrap).
        p: two-sided, of the difference in nDCG@10.
    """

    mode: str
    rerank: bool
    ndcg_at_10: Estimate
    mrr_at_10: Estimate
    recall_at_100: Estimate
    p: float


@click.command("eval")
@click.argument("directory", metavar="[DIR]", type=click.Path(path_type=Path), required=False)
@click.option("--testset", metavar="NAME", help="A test set that the Index service keeps, instead of DIR.")
@mode_option
@click.option("--rerank/--no-rerank", default=False, show_default=True, help="Score the first candidates again.")
@click.option(
    "-c", "--collection", metavar="NAME", help="Where the corpus goes; a name made from its content otherwise."
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N judged queries.")
@click.option("--compare", metavar="WAY", help="What another way changes, such as keyword or hybrid+rerank.")
@click.option("--decide", "decides", is_flag=True, help="Measure the decision to answer too.")
@json_option
@click.pass_obj
def evaluate(
    session: Session,
    /,
    directory: Path | None,
    testset: str | None,
    collection: str | None,
    compare: str | None,
    decides: bool,
    as_json: bool,
    **way: Any,
) -> None:
    """Measure retrieval on a test set in BEIR layout, or on one that is kept (ragq testset).

    DIR holds corpus.jsonl, queries.jsonl and qrels/test.tsv. The corpus is added to a collection of its own,
    which is used again the next time. Prints nDCG@10, MRR@10 and Recall@100, as trec_eval counts them. With --decide
    every query is asked twice, once as if its documents were missing, and the routes are counted.

    With --testset the questions are asked of the collection that the set was made for. The decision is measured too,
    and the figures are kept with the set: ragq testset runs NAME.
    """
    if testset or directory is None:
        if directory or collection or not testset:
            raise BadRequest("give either DIR or --testset NAME", help="ragq testset list shows the names")
        _kept(session, testset, _Way(**way), compare, as_json=as_json)
        return
    beir, first = read_beir(directory), _Way(**way)
    other = _way(compare, first.limit) if compare else None
    with session.mesh(TIMEOUT_S) as mesh:
        name = collection or _name(mesh, beir)
        result, report = measure(mesh, beir, name, first)
        if other:
            result = replace(result, compared=_compared(report, measure(mesh, beir, name, other)[1], other))
        if decides:
            result = replace(result, decided=decided(mesh, name, _labelled(beir, first.limit)))
    if as_json:
        show.document(result)
    else:
        _print(result)


def _kept(session: Session, testset: str, way: _Way, compare: str | None, *, as_json: bool) -> None:
    with session.mesh(TIMEOUT_S) as mesh:
        other = read_way(compare) if compare else None
        outcome = saved.measure(mesh, testset, Way(way.mode, way.rerank), other, way.limit)
    if as_json:
        show.document(outcome)
    else:
        print_outcome(outcome)


@dataclass(frozen=True, slots=True)
class _Way:
    """How to search; ``limit`` None asks every query."""

    mode: Mode
    rerank: bool
    limit: int | None


def _name(mesh: Ragq, beir: Beir) -> str:
    return collection_name(beir, next((model.name for model in mesh.llm.models() if model.role == "embed"), ""))


def _way(text: str, limit: int | None) -> _Way:
    way = read_way(text)
    return _Way(way.mode, way.rerank, limit)


def _labelled(beir: Beir, limit: int | None) -> list[Labelled]:
    queries = islice(beir.queries.items(), limit)
    first = {twin: name for name, same in twins(beir).items() for twin in same}
    return [Labelled(text, frozenset(first.get(d, d) for d in relevant(beir.judgements[key]))) for key, text in queries]


def _compared(first: Report, second: Report, way: _Way) -> Compared:
    queries = sorted(first.by_query)

    def gain(name: str) -> tuple[Estimate, float]:
        one, two = (np.array([getattr(r.by_query[q], name) for q in queries]) for r in (first, second))
        return paired(one, two)

    (ndcg, p), (mrr, _), (recall, _) = map(gain, ("ndcg_at_10", "mrr_at_10", "recall_at_100"))
    return Compared(way.mode, way.rerank, ndcg, mrr, recall, p)


def measure(mesh: Ragq, beir: Beir, name: str, way: _Way) -> tuple[Evaluation, Report]:
    """Add the corpus where it is missing, ask the queries, and judge the rankings; also query by query."""
    began = time.monotonic()
    collection = fill(mesh, name, beir)
    filled = time.monotonic()
    queries = dict(islice(beir.queries.items(), way.limit))
    report = judge(_rankings(mesh, collection, beir, queries, way), beir.judgements)
    mean = report.mean
    return Evaluation(
        beir.name, name, way.mode, way.rerank, len(beir.corpus), len(queries),
        round(mean.ndcg_at_10, 4), round(mean.mrr_at_10, 4), round(mean.recall_at_100, 4),
        round(filled - began, 2), round(time.monotonic() - filled, 2),
    ), report  # fmt: skip


def _rankings(
    mesh: Ragq, collection: Collection, beir: Beir, queries: dict[str, str], way: _Way
) -> dict[str, dict[str, float]]:
    same = twins(beir)
    top_k = num_hits(collection)

    def ranked(query: str) -> dict[str, float]:
        hits = mesh.index.search(collection.name, query, top_k, way.mode, rerank=way.rerank)
        best = best_per_document((hit.document, -float(rank)) for rank, hit in enumerate(hits, 1))
        return {twin: score for name, score in best.items() for twin in same.get(name, [name])}

    run = {}
    with ThreadPoolExecutor(IN_FLIGHT) as pool, meter("queries") as report:
        for number, (key, scores) in enumerate(zip(queries, pool.map(ranked, queries.values()), strict=True), 1):
            run[key] = scores
            report("searching", number, len(queries))
    return run


def num_hits(collection: Collection) -> int:
    """Chunks to ask for so that 100 documents come: more where documents have several."""
    if collection.num_chunks <= collection.num_documents:
        return NUM_RANKED
    return math.ceil(NUM_RANKED * SPARE * collection.num_chunks / collection.num_documents)


def _print(result: Evaluation) -> None:
    way = f"{result.mode}{', reranked' if result.rerank else ''}"
    click.echo(f"{result.dataset}: {result.num_documents} documents, {result.num_queries} queries, {way}")
    show.table(("NDCG@10", "MRR@10", "RECALL@100", "INDEX", "SEARCH"),
               [(f"{result.ndcg_at_10:.4f}", f"{result.mrr_at_10:.4f}", f"{result.recall_at_100:.4f}",
                 f"{result.index_s:.1f} s", f"{result.search_s:.1f} s")])  # fmt: skip
    if result.compared:
        _print_compared(result.compared)
    if result.decided:
        _print_decided(result.decided)
    show.note(f"collection {result.collection}")


def _print_compared(other: Compared) -> None:
    click.echo(f"{other.mode}{', reranked' if other.rerank else ''} instead, p {other.p:.3f} for nDCG@10")
    gains = (("NDCG@10", other.ndcg_at_10), ("MRR@10", other.mrr_at_10), ("RECALL@100", other.recall_at_100))
    show.table(("FIGURE", "DIFFERENCE", "95 % INTERVAL"),
               [(name, f"{g.value:+.4f}", f"{g.low:+.4f} to {g.high:+.4f}") for name, g in gains])  # fmt: skip


def _print_decided(result: Decided) -> None:
    kind = "calibrated" if result.calibrated else "uncalibrated"
    click.echo(f"decision, {kind}, t_low {result.t_low:.2f}, t_high {result.t_high:.2f}")
    counts = [(name, *(str(taken[route]) for route in get_args(Route))) for name, taken in result.routes.items()]
    show.table(("QUERIES", "ANSWER", "FALLBACK", "ABSENT"), counts)
    figures = [(name, f"{f.value:.3f}", f"{f.low:.3f} to {f.high:.3f}") for name, f in result.figures.items()]
    show.table(("FIGURE", "VALUE", "95 % INTERVAL"), figures)
