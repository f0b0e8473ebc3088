"""How well does ragq know when a collection lacks the answer?

    ragq up                                            # in another terminal, with the models to be measured
    python benchmarks/decision.py --data DIR --cases FILE [--fit] [--log]

DIR holds test sets in BEIR layout (``xquad-en``, ``xquad-zh``, ``cmrc2018``, ``scifact``, ``vaswani``) and
``techdocs/corpus.jsonl.gz``; a set that is missing is left out, and said so. Each set becomes a
collection from which the passages of half its questions are left out:

* answerable: the passage is there;
* hard: the same kind of question, its passage left out;
* foreign: a question of another set.

With ``xquad-en`` and ``xquad-zh`` the questions of one are asked of the other too: the same questions
in another language than the passages. Sixty single documents are collections of their own, as when
somebody tries ragq with one file.

``--fit`` prints weights for ``clients/decision.py``, fitted with the mix that MIX says; the figures
are then of questions whose collection was left out of the fit. Without it they are of the weights
in use. Questions about the handbook were in no fit.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.decision_sets import SETS, Question, handbook, plan  # noqa: E402
from clients import Ragq  # noqa: E402
from clients.asking import Ask  # noqa: E402
from clients.decision import WEIGHTS, Signals, Weights, read_signals  # noqa: E402

MIX = {"answerable": 0.7, "hard": 0.05, "foreign": 0.25}
RIDGE = 1e-4
THRESHOLD = Ask().threshold


@dataclass(frozen=True, slots=True)
class Case:
    """A question with what its search said."""

    question: Question
    signals: Signals


def look(mesh: Ragq, question: Question) -> Case:
    """Search as ``ask`` does."""
    hits = mesh.index.find(question.collection, question.text, mesh.config.ask.top_k)
    sentences = mesh.llm.extract(question.text, [hit.text for hit in hits.hits]) if hits.hits else []
    return Case(question, read_signals(hits, sentences, question.text))


# -- fitting ---------------------------------------------------------------------------------------


def mixed(cases: Sequence[Case]) -> np.ndarray:
    """Weights [n] that give each label its share of MIX, and each group the same part of it."""
    sizes = Counter((case.question.group, case.question.label) for case in cases)
    groups = Counter(label for _, label in sizes)
    return np.array(
        [MIX[c.question.label] / sizes[c.question.group, c.question.label] / groups[c.question.label] for c in cases]
    )


def fit(cases: Sequence[Case], columns: Sequence[str]) -> Weights:
    """Logistic regression by Newton's method with a small ridge; ``columns`` are the signals that take part."""
    x = np.array([[getattr(case.signals, name) for name in columns] for case in cases])
    y = np.array([case.question.label == "answerable" for case in cases], float)
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    z = np.column_stack([(x - mean) / spread, np.ones(len(x))])
    share = mixed(cases)
    share = share / share.sum()
    ridge = np.diag([RIDGE] * len(columns) + [0.0])
    beta = np.zeros(z.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-z @ beta))
        slope = z.T @ (share * (p - y)) + ridge @ beta
        beta -= np.linalg.solve((z * (share * p * (1 - p))[:, None]).T @ z + ridge, slope)
    weights = beta[:-1] / spread
    found = dict(zip(columns, (round(float(w), 2) for w in weights), strict=True))
    bias = round(float(beta[-1] - weights @ mean), 2)
    return Weights(bias, found.get("coverage", 0.0), found.get("sentence", 0.0), found.get("lift", 0.0))


COLUMNS = {
    "ranked": ("coverage", "sentence", "lift"),
    "plain": ("coverage", "sentence"),
    "across": ("sentence", "lift"),
}


def fitted(cases: Sequence[Case]) -> dict[str, Weights]:
    """Weights per situation, from the cases but the handbook's.

    In a large collection without a reranker the situation is ``plain`` too, so every case without a
    language between question and passage counts there.
    """
    own = [case for case in cases if case.question.group != "handbook"]
    chosen = {
        kind: [c for c in own if c.signals.situation == kind or (kind == "plain" and c.signals.situation == "ranked")]
        for kind in WEIGHTS
    }
    return {kind: fit(some, COLUMNS[kind]) for kind, some in chosen.items()}


def held_out(cases: Sequence[Case]) -> list[float]:
    """Confidence of each case by weights that were fitted without its group."""
    groups = {case.question.group for case in cases}
    weights = {group: fitted([case for case in cases if case.question.group != group]) for group in groups}
    return [weights[case.question.group][case.signals.situation].confidence(case.signals) for case in cases]


# -- figures ---------------------------------------------------------------------------------------


def auroc(above: np.ndarray, below: np.ndarray) -> float:
    """Probability that one of ``above`` is higher than one of ``below``; ties count half."""
    if not len(above) or not len(below):
        return float("nan")
    return float((above[:, None] > below).mean() + 0.5 * (above[:, None] == below).mean())


def calibration_error(p: np.ndarray, y: np.ndarray, share: np.ndarray) -> float:
    """Expected calibration error over ten bins."""
    bins = np.minimum((p * 10).astype(int), 9)
    gaps = [abs((share[bins == b] * (p[bins == b] - y[bins == b])).sum()) for b in range(10)]
    return float(sum(gaps) / share.sum())


def report(cases: Sequence[Case], confidences: Sequence[float]) -> Iterator[str]:
    """A Markdown table, and one line for all."""
    columns = ["questions", *MIX, "AUROC easy", "AUROC hard", "falsely absent", "hard absent", "foreign absent"]
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"
    p = np.array(confidences)
    groups, labels = (np.array([getattr(c.question, key) for c in cases]) for key in ("group", "label"))
    own, situations = groups != "handbook", np.array([case.signals.situation for case in cases])
    lines = [(group, groups == group) for group in dict.fromkeys(groups.tolist())]
    lines += [(f"all, situation {kind}", own & (situations == kind)) for kind in WEIGHTS] + [("all", own)]
    for name, chosen in lines:
        part = {label: p[chosen & (labels == label)] for label in MIX}
        yield f"| {name} | " + " | ".join([str(len(v)) for v in part.values()] + figures(part)) + " |"
    share = mixed([case for case, is_own in zip(cases, own, strict=True) if is_own])
    error = calibration_error(p[own], (labels[own] == "answerable").astype(float), share)
    yield f"\nAll leaves the handbook out. Expected calibration error at the mix {MIX}: {error:.3f}."


def figures(part: dict[str, np.ndarray]) -> list[str]:
    absent = {label: f"{(v < THRESHOLD).mean():.1%}" if len(v) else "-" for label, v in part.items()}
    areas = [auroc(part["answerable"], part[label]) for label in ("foreign", "hard")]
    return [f"{a:.3f}" if a == a else "-" for a in areas] + [absent["answerable"], absent["hard"], absent["foreign"]]


def searched(config: str | None, data: Path, count: int, path: Path) -> list[Case]:
    """Every question with its signals; they are kept in a file as they come, and a run that was stopped goes on."""
    part = path.with_suffix(".part")
    done = {case.question: case for case in kept(part)} if part.exists() else {}
    with Ragq(config, timeout_s=300.0) as mesh, part.open("a", encoding="utf-8") as out:
        questions = [*plan(mesh, data, count), *handbook(mesh)]
        for number, question in enumerate(questions, 1):
            if question not in done:
                done[question] = look(mesh, question)
                out.write(json.dumps(asdict(done[question]), ensure_ascii=False) + "\n")
            print(f"\r{number} of {len(questions)}", end="", file=sys.stderr, flush=True)
    part.rename(path)
    return [done[question] for question in questions]


def kept(path: Path) -> list[Case]:
    """Cases of an earlier run; a last line that was cut off is left out."""
    lines = (
        json.loads(line) for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")
    )
    return [Case(Question(**line["question"]), Signals(**line["signals"])) for line in lines]


def written(cases: Sequence[Case], *, is_fit: bool) -> Iterator[str]:
    """The report as lines of Markdown."""
    if is_fit:
        yield from (f"    {kind!r}: {weights}," for kind, weights in fitted(cases).items())
        yield "\nEach group by weights that were fitted on the others:\n"
        yield from report(cases, held_out(cases))
    else:
        yield from report(cases, [WEIGHTS[case.signals.situation].confidence(case.signals) for case in cases])


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the decision to answer or abstain on a running mesh.")
    parser.add_argument("--data", type=Path, required=True, help="directory of the test sets")
    parser.add_argument("--config", help="ragq.yml of the mesh; the usual places when not given")
    parser.add_argument("--questions", type=int, default=150, help="of each kind and set")
    parser.add_argument("--cases", type=Path, required=True, help="keep what was searched here, or take it from here")
    parser.add_argument("--fit", action="store_true", help="fit weights, and print them")
    parser.add_argument("--log", action="store_true", help="append to benchmarks/LOG.md")
    given = parser.parse_args()
    if not any((given.data / name).is_dir() for name in SETS):
        print(f"skipped: none of {', '.join(SETS)} is in {given.data}")
        return 0
    began = time.monotonic()
    if given.cases.exists():
        cases = kept(given.cases)
    else:
        cases = searched(given.config, given.data, given.questions, given.cases)
    place = f"{platform.machine()}, {len(cases)} questions in {time.monotonic() - began:.0f} s"
    head = [f"## {datetime.now(UTC):%Y-%m-%d} decision to answer or abstain", "", f"{place}.", ""]
    text = "\n".join([*head, *written(cases, is_fit=given.fit), ""])
    print(text)
    if given.log:
        with (ROOT / "benchmarks" / "LOG.md").open("a", encoding="utf-8") as log:
            log.write(f"\n{text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
