"""What does ``ragq calibrate`` make of SciFact, next to the default decision?

    ragq up                                            # in another terminal, with the models to be measured
    python benchmarks/calibration.py --data DIR [--documents 1000] [--claims 300] [--here] [--log]

With ``--here`` the services run in this process with the embedded models and the reranker takes the time it needs, so
that a busy machine measures the same; vectors and scores are kept in the cache from one run to the next. DIR holds
``scifact`` and ``xquad-en`` in BEIR layout. The collection has every abstract that answers a judged claim, and others
up to the number given. Each claim is asked as it is and with its abstracts left out of the view (the hard control);
the questions of XQuAD are the easy one. The figures are of the half that was not fitted to, the routes of all
questions with the thresholds fitted for each target.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.remembering import InProcess, RememberingLLM  # noqa: E402
from clients import Ragq  # noqa: E402
from clients.abstention import coverage_at_precision, risk_coverage_area  # noqa: E402
from clients.calibration import Calibration, scorers_of  # noqa: E402
from clients.config import Config, Index  # noqa: E402
from clients.decision import gate_of  # noqa: E402
from clients.evaluation import Beir, Labelled, read_beir  # noqa: E402
from clients.fitting import Case, Target, calibrate, weights_of  # noqa: E402
from clients.index import IndexClient  # noqa: E402
from clients.llm import LLMClient  # noqa: E402
from clients.looking import Looking  # noqa: E402
from services.index import reranking  # noqa: E402
from services.index.service import IndexService  # noqa: E402
from ui.cli.calibrate import WORDS  # noqa: E402
from ui.cli.controls import Asked, asked, cases, in_flight  # noqa: E402
from ui.cli.testset import collection_name, fill  # noqa: E402

if TYPE_CHECKING:
    from clients.client import Client

SEED = 7
BUDGET_S = 600.0
EASY_AIM, ERROR_AIM = 0.95, 0.10


def smaller(beir: Beir, size: int, num_claims: int) -> Beir:
    """Some claims, the documents that answer them, and others up to ``size``; 0 keeps every document."""
    chosen = sorted(beir.queries)
    random.Random(SEED).shuffle(chosen)
    queries = {key: beir.queries[key] for key in chosen[: num_claims or None]}
    if not size:
        return replace(beir, queries=queries)
    answering = [beir.judgements[key] for key in queries]
    gold = {document for judged in answering for document, grade in judged.items() if grade > 0}
    relevant = {document for judged in beir.judgements.values() for document in judged}
    others = sorted(entry.id for entry in beir.corpus if entry.id not in relevant)
    random.Random(SEED).shuffle(others)
    kept = gold | set(others[: max(0, size - len(gold))])
    return replace(beir, corpus=[entry for entry in beir.corpus if entry.id in kept], queries=queries)


@dataclass(frozen=True, slots=True)
class Here:
    """Both services in this process, in the shape of a mesh."""

    llm: LLMClient
    index: IndexClient
    config: Config


@contextmanager
def here(cache: Path) -> Iterator[Ragq]:
    """The embedded models and an empty index."""
    reranking.BUDGET_S = BUDGET_S
    llm = RememberingLLM(cache)
    with tempfile.TemporaryDirectory() as home:
        config = Config(data_dir=home, index=Index(sample=False))
        service = IndexService(config, llm)
        service.start()
        yield cast("Ragq", Here(llm.client, IndexClient(cast("Client", InProcess(service))), config))
        service.stop()
    llm.close()


@dataclass(frozen=True, slots=True)
class Measured:
    """What was asked of which collection, and what was fitted for each target.

    Attributes:
        routes: by target, how many questions of each kind went which way.
    """

    name: str
    cases: list[Case]
    fits: list[Calibration]
    routes: list[Counter[tuple[str, str]]]


def measured(mesh: Ragq, data: Path, size: int, num_claims: int) -> Measured:
    """Fill, ask and fit."""
    beir = smaller(read_beir(data / "scifact"), size, num_claims)
    models = mesh.llm.models()
    name = collection_name(beir, next(m.name for m in models if m.role == "embed"))
    fill(mesh, name, beir)
    labelled = [
        Labelled(text, frozenset(d for d, grade in beir.judgements[key].items() if grade > 0))
        for key, text in beir.queries.items()
    ]
    pool = sorted(read_beir(data / "xquad-en").queries.values())
    foreign = random.Random(SEED).sample(pool, min(len(beir.queries), len(pool)))
    questions = asked(mesh, name, labelled)
    found = cases(mesh, name, questions, foreign)
    scorers = scorers_of(models, mesh.config.ask.top_k)
    targets = (Target(0.95), Target(0.8), Target(0.0, 5.0, 1.0, 0.2))
    fits = [calibrate(name, scorers, found, target) for target in targets]
    return Measured(name, found, fits, [routed(mesh, name, questions, foreign, fit) for fit in fits])


def routed(
    mesh: Ragq, name: str, questions: list[Asked], foreign: list[str], fit: Calibration
) -> Counter[tuple[str, str]]:
    """Which way each question goes, second search included."""
    gate = gate_of(mesh.config.ask, fit)
    plan = [("answerable", one.question, frozenset[str]()) for one in questions]
    plan += [("without their abstracts", one.question, one.gold) for one in questions]
    plan += [("of XQuAD", question, frozenset()) for question in foreign]

    def way(item: tuple[str, str, frozenset[str]]) -> tuple[str, str]:
        kind, question, without = item
        looking = Looking(mesh.llm, mesh.index, mesh.config.ask, name)
        return kind, looking.look(question, gate, sorted(without)).decision.route

    return Counter(in_flight(way, plan, "routes"))


def written(measured: Measured, place: str) -> Iterator[str]:
    """The report as lines of Markdown."""
    name, found, fits = measured.name, measured.cases, measured.fits
    first = fits[0]
    num_found = sum(case.is_found for case in found if case.kind == "answerable")
    yield f"## {datetime.now(UTC):%Y-%m-%d} calibration on SciFact"
    yield ""
    quality = first.quality
    yield f"`benchmarks/calibration.py`, {name}, {first.scorers}; {place}. {num_found} of the claims have their"
    yield "abstract among the passages found. The figures are of the half of the questions that was not fitted to:"
    yield f"{quality.num_answerable} claims, {quality.num_hard} without their abstracts and {quality.num_easy}"
    yield f"questions of XQuAD; mix {', '.join(map(str, first.mix))}; 95 % intervals by bootstrap over questions."
    yield ""
    yield f"| held-out half | {' | '.join(fit.target for fit in fits)} |"
    yield "|---" * (1 + len(fits)) + "|"
    yield row("t_low, t_high", [f"{fit.t_low:.3f}, {fit.t_high:.3f}" for fit in fits])
    yield row("target reached on the fit half", ["yes" if fit.is_reached else "no" for fit in fits])
    for key, words in WORDS.items():
        figures = [fit.quality.figures.get(key) for fit in fits]
        yield row(words, [f"{f.value:.3f} ({f.low:.3f} to {f.high:.3f})" if f else "-" for f in figures])
    for kind, route in sorted({pair for count in measured.routes for pair in count}):
        yield row(f"{kind}: {route}", [str(count[kind, route]) for count in measured.routes])
    yield ""
    yield from verdicts(first)
    yield from whole(first, found)


def row(name: str, cells: list[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def verdicts(fit: Calibration) -> Iterator[str]:
    easy, error = fit.quality.figures["auroc_easy"].value, fit.quality.figures["ece_after"].value
    yield f"* Easy control, aim {EASY_AIM}: {easy:.3f}, {'met' if easy >= EASY_AIM else 'missed'}."
    yield f"* Calibration error, aim {ERROR_AIM}: {error:.3f}, {'met' if error <= ERROR_AIM else 'missed'}."


def whole(fit: Calibration, found: list[Case]) -> Iterator[str]:
    """Figures without a threshold, over all cases."""
    import numpy as np

    p = np.array([fit.probability(case.evidence) for case in found])
    is_right, weights = np.array([case.is_right for case in found]), weights_of(found, fit.mix)
    shares = [f"{coverage_at_precision(least, p, is_right, weights):.2f} at {least}" for least in (0.8, 0.9, 0.95)]
    area = risk_coverage_area(p, is_right, weights)
    yield f"* All cases: area under the risk-coverage curve {area:.3f}; share of questions that can be answered at a"
    yield f"  precision: {', '.join(shares)}."


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure what a calibration makes of the decision on SciFact.")
    parser.add_argument("--data", type=Path, required=True, help="directory of the test sets")
    parser.add_argument("--config", help="ragq.yml of the mesh; the usual places when not given")
    parser.add_argument("--documents", type=int, default=1000, help="of the collection; 0 takes all")
    parser.add_argument("--claims", type=int, default=0, help="of the judged ones; 0 takes all")
    parser.add_argument("--here", action="store_true", help="run the services in this process, without haste")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "ragq-retrieval")
    parser.add_argument("--log", action="store_true", help="append to benchmarks/LOG.md")
    given = parser.parse_args()
    missing = [name for name in ("scifact", "xquad-en") if not (given.data / name).is_dir()]
    if missing:
        print(f"skipped: {', '.join(missing)} not in {given.data}")
        return 0
    began = time.monotonic()
    with here(given.cache) if given.here else Ragq(given.config, timeout_s=300.0) as mesh:
        seen = measured(mesh, given.data, given.documents, given.claims)
    place = f"{given.documents or 'all'} documents, {len(seen.cases)} searches, {time.monotonic() - began:.0f} s"
    text = "\n".join([*written(seen, place), ""])
    print(text)
    if given.log:
        with (ROOT / "benchmarks" / "LOG.md").open("a", encoding="utf-8") as log:
            log.write(f"\n{text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
