"""How well does a search rank, by words, by vectors, by both, and with the reranker, beside BM25 alone?

    python benchmarks/retrieval.py --data DIR [--sets scifact,vaswani,xquad-en,cmrc2018] [--split test] [--queries N]
        [--ways "BM25,vectors,hybrid,hybrid + rerank"] [--cache DIR] [--log]

DIR holds sets in BEIR layout. The Index service runs in this process with the embedded models; each document is one
text, cut as ``ragq eval`` cuts. Vectors and the scores of the reranker are kept in the cache from one run to the
next, so the first run takes as long as embedding does. Figures are nDCG@10, linear gain, and recall@100 of documents.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.remembering import InProcess, RememberingLLM  # noqa: E402
from clients import index as contract  # noqa: E402
from clients.config import Config, Index  # noqa: E402
from clients.evaluation import Beir, judge, read_beir  # noqa: E402
from services.index import reranking  # noqa: E402
from services.index.service import IndexService  # noqa: E402
from ui.cli.testset import CHUNKING, batches, twins  # noqa: E402

NAME = "benchmark"
# Quality is measured here, so a slow machine has the time that a fast one does not need.
BUDGET_S = 600.0
WAYS: dict[str, tuple[contract.Mode, bool]] = {
    "BM25": ("keyword", False),
    "vectors": ("dense", False),
    "hybrid": ("hybrid", False),
    "hybrid + rerank": ("hybrid", True),
}
GATES = {("scifact", "test"): {"hybrid": 0.715, "hybrid + rerank": 0.725}}


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one way to search: nDCG@10, recall@100 and milliseconds by stage, means over the queries."""

    ndcg: float
    recall: float
    stages: Mapping[str, float] = field(default_factory=dict)


def filled(service: IndexService, beir: Beir) -> None:
    """Add the whole corpus and wait for it."""
    desk = InProcess(service)
    wanted = twins(beir)
    texts = [contract.Text(e.id, e.content) for e in beir.corpus if e.id in wanted and e.content.strip()]
    for batch in batches(texts):
        job = desk.call(contract.ADD_TEXTS, contract.AddTexts(NAME, batch, CHUNKING))
        while (record := desk.call(contract.JOB, contract.JobId(job.id))).status not in contract.FINISHED:
            time.sleep(0.5)
        assert not record.num_failed, record
        print(f"{beir.name}: {record.num_done} documents, {record.num_failed} failed", file=sys.stderr, flush=True)


def searched(service: IndexService, beir: Beir, mode: contract.Mode, rerank: bool) -> Figures:
    """Ask all queries one way."""
    desk, same = InProcess(service), twins(beir)
    run: dict[str, dict[str, float]] = {}
    spent: dict[str, float] = {}
    for key, query in beir.queries.items():
        request = contract.Search(NAME, query, top_k=100, mode=mode, rerank=rerank)
        hits = desk.call(contract.SEARCH, request)
        run[key] = {
            twin: float(-rank) for rank, hit in enumerate(hits.hits) for twin in same.get(hit.document, [hit.document])
        }
        if missed := [note for note in hits.notes if rerank and note.startswith("not reranked")]:
            raise SystemExit(f"{beir.name}: {missed[0]}")
        for stage, seconds in hits.timings.items():
            spent[stage] = spent.get(stage, 0.0) + 1000 * seconds / len(beir.queries)
    mean = judge(run, beir.judgements).mean
    return Figures(mean.ndcg_at_10, mean.recall_at_100, spent)


def report(beir: Beir, split: str, llm: RememberingLLM, ways: Sequence[str]) -> Iterator[str]:
    """A row of a Markdown table, and what missed its gate."""
    with tempfile.TemporaryDirectory() as home:
        service = IndexService(Config(data_dir=home, index=Index(sample=False)), llm)
        service.start()
        filled(service, beir)
        found = {name: searched(service, beir, mode, rerank) for name, (mode, rerank) in WAYS.items() if name in ways}
        service.stop()
    cells = [f"{found[name].ndcg:.4f} / {found[name].recall:.3f}" if name in found else "-" for name in WAYS]
    yield f"| {beir.name} {split} | {len(beir.corpus)} | {len(beir.queries)} | {' | '.join(cells)} |"
    parts = max((found[name].ndcg for name in ("BM25", "vectors") if name in found), default=0.0)
    if "hybrid + rerank" in found and (best := found["hybrid + rerank"].ndcg) < parts:
        yield f"FAIL {beir.name}: hybrid + rerank {best:.4f} is below the better of its parts, {parts:.4f}"
    for name, gate in GATES.get((beir.name, split), {}).items():
        if name in found and found[name].ndcg < gate:
            yield f"FAIL {beir.name}: {name} {found[name].ndcg:.4f}, {gate} is wanted"


def smaller(beir: Beir, num_queries: int) -> Beir:
    """The same corpus with the first queries."""
    kept = dict(itertools.islice(beir.queries.items(), num_queries)) if num_queries else beir.queries
    return Beir(beir.name, beir.corpus, kept, beir.judgements)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="directory of the test sets")
    parser.add_argument("--sets", default="scifact,vaswani,xquad-en,cmrc2018")
    parser.add_argument("--split", default="test")
    parser.add_argument("--queries", type=int, default=0, help="of each set; 0 takes all")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "ragq-retrieval")
    parser.add_argument("--log", action="store_true", help="append to benchmarks/LOG.md")
    given = parser.parse_args()
    reranking.BUDGET_S = BUDGET_S
    llm = RememberingLLM(given.cache)
    lines = [f"| set | documents | queries | {' | '.join(WAYS)} |", "|---" * (3 + len(WAYS)) + "|"]
    print(*lines, sep="\n", flush=True)
    for name in given.sets.split(","):
        if not (given.data / name).is_dir():
            print(f"skipped: {name} is not in {given.data}")
            continue
        for line in report(
            smaller(read_beir(given.data / name, given.split), given.queries), given.split, llm, given.ways.split(",")
        ):
            print(line, flush=True)
            lines.append(line)
    llm.close()
    if given.log:
        with (ROOT / "benchmarks" / "LOG.md").open("a", encoding="utf-8") as log:
            log.write("\n".join([f"\n## {datetime.now(UTC):%Y-%m-%d} retrieval", "", *lines, ""]))
    return any(line.startswith("FAIL") for line in lines)


if __name__ == "__main__":
    sys.exit(main())
