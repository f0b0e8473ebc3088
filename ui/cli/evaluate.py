"""How well does a collection find what a test set asks for?"""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import click

from clients.evaluation import Beir, best_per_document, judge, read_beir
from clients.index import Collection, Mode
from clients.mesh import Ragq

from . import show
from .options import json_option, mode_option
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


@click.command("eval")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@mode_option
@click.option("--rerank/--no-rerank", default=False, show_default=True, help="Score the first candidates again.")
@click.option(
    "-c", "--collection", metavar="NAME", help="Where the corpus goes; a name made from its content otherwise."
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N judged queries.")
@json_option
@click.pass_obj
def evaluate(
    session: Session,
    directory: Path,
    mode: Mode,
    rerank: bool,
    collection: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Measure retrieval on a test set in BEIR layout.

    DIR holds corpus.jsonl, queries.jsonl and qrels/test.tsv. The corpus is added to a collection of its own,
    which is used again the next time. Prints nDCG@10, MRR@10 and Recall@100, as trec_eval counts them.
    """
    beir = read_beir(directory)
    with session.mesh(TIMEOUT_S) as mesh:
        result = measure(mesh, beir, collection or _name(mesh, beir), _Way(mode, rerank, limit))
    if as_json:
        show.document(result)
    else:
        _print(result)


@dataclass(frozen=True, slots=True)
class _Way:
    """How to search; ``limit`` None asks every query."""

    mode: Mode
    rerank: bool
    limit: int | None


def _name(mesh: Ragq, beir: Beir) -> str:
    return collection_name(beir, next((model.name for model in mesh.llm.models() if model.role == "embed"), ""))


def measure(mesh: Ragq, beir: Beir, name: str, way: _Way) -> Evaluation:
    """Add the corpus where it is missing, ask the queries, and judge the rankings."""
    began = time.monotonic()
    collection = fill(mesh, name, beir)
    filled = time.monotonic()
    queries = dict(islice(beir.queries.items(), way.limit))
    mean = judge(_rankings(mesh, collection, beir, queries, way), beir.judgements).mean
    return Evaluation(
        beir.name, name, way.mode, way.rerank, len(beir.corpus), len(queries),
        round(mean.ndcg_at_10, 4), round(mean.mrr_at_10, 4), round(mean.recall_at_100, 4),
        round(filled - began, 2), round(time.monotonic() - filled, 2),
    )  # fmt: skip


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
    show.note(f"collection {result.collection}")
