"""What does ``ragq calibrate`` make of SciFact, next to the default decision?

    ragq up                                            # in another terminal, with the models to be measured
    python benchmarks/calibration.py --data DIR [--documents 1000] [--claims 300] [--log]

DIR holds ``scifact`` and ``xquad-en`` in BEIR layout. The collection has every abstract that answers a judged
claim, and others up to the number given. Each claim is asked as it is and with its abstracts left out of the view
(the hard control); the questions of XQuAD are the easy one. The figures are of the half that was not fitted to.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from clients import Ragq  # noqa: E402
from clients.abstention import coverage_at_precision, risk_coverage_area  # noqa: E402
from clients.calibration import Calibration, scorers_of  # noqa: E402
from clients.evaluation import Beir, Labelled, read_beir  # noqa: E402
from clients.fitting import Case, Target, calibrate, weights_of  # noqa: E402
from ui.cli.calibrate import WORDS  # noqa: E402
from ui.cli.controls import asked, cases  # noqa: E402
from ui.cli.testset import collection_name, fill  # noqa: E402

SEED = 7
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


def measured(mesh: Ragq, data: Path, size: int, num_claims: int) -> tuple[str, list[Case], list[Calibration]]:
    """The collection, its cases, and what was fitted for each target."""
    beir = read_beir(data / "scifact")
    beir = smaller(beir, size, num_claims)
    models = mesh.llm.models()
    name = collection_name(beir, next(m.name for m in models if m.role == "embed"))
    fill(mesh, name, beir)
    labelled = [
        Labelled(text, frozenset(d for d, grade in beir.judgements[key].items() if grade > 0))
        for key, text in beir.queries.items()
    ]
    pool = sorted(read_beir(data / "xquad-en").queries.values())
    foreign = random.Random(SEED).sample(pool, min(len(beir.queries), len(pool)))
    found = cases(mesh, name, asked(mesh, name, labelled), foreign)
    scorers = scorers_of(models, mesh.config.ask.top_k)
    targets = (Target(0.95), Target(0.8), Target(0.0, 5.0, 1.0, 0.2))
    return name, found, [calibrate(name, scorers, found, target) for target in targets]


def written(name: str, found: list[Case], fits: list[Calibration], place: str) -> Iterator[str]:
    """The report as lines of Markdown."""
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
    parser.add_argument("--log", action="store_true", help="append to benchmarks/LOG.md")
    given = parser.parse_args()
    missing = [name for name in ("scifact", "xquad-en") if not (given.data / name).is_dir()]
    if missing:
        print(f"skipped: {', '.join(missing)} not in {given.data}")
        return 0
    began = time.monotonic()
    with Ragq(given.config, timeout_s=300.0) as mesh:
        name, found, fits = measured(mesh, given.data, given.documents, given.claims)
    place = f"{given.documents or 'all'} documents, {len(found)} searches, {time.monotonic() - began:.0f} s"
    text = "\n".join([*written(name, found, fits, place), ""])
    print(text)
    if given.log:
        with (ROOT / "benchmarks" / "LOG.md").open("a", encoding="utf-8") as log:
            log.write(f"\n{text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
