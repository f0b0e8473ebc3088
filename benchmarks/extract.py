"""Do the quoted sentences answer the questions about the handbook, and how much else is quoted?

    ragq up                                            # in another terminal; the handbook is loaded at the first start
    python benchmarks/extract.py [--config FILE] [--misses]

hit@1: the first quote contains an answer; hit@shown: any quote does. What may be an answer stands in
tests/data/handbook_questions.jsonl. The decision to answer at all is left out here.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.decision_sets import HANDBOOK  # noqa: E402
from clients import Ragq  # noqa: E402
from clients.followup import is_cjk  # noqa: E402
from clients.rag import MAX_SENTENCES, shown  # noqa: E402
from services.index.sample import COLLECTION  # noqa: E402


@dataclass(frozen=True, slots=True)
class Quoted:
    """A question, the quotes in the order of the answer, and for each whether it contains an answer."""

    question: str
    quotes: list[str]
    hits: list[bool]


def ask(mesh: Ragq, question: str, answers: Sequence[str]) -> Quoted:
    """Search and quote as ``ask`` does."""
    hits = mesh.index.find(COLLECTION, question, mesh.config.ask.top_k).hits
    sentences = mesh.llm.extract(question, [hit.text for hit in hits], MAX_SENTENCES)
    quotes = [" ".join(sentence.text.split()) for sentence in shown(sentences)] if sentences else [""]
    return Quoted(question, quotes, [any(answer in quote for answer in answers) for quote in quotes])


def report(asked: Sequence[Quoted]) -> Iterator[str]:
    """A Markdown table."""
    yield "| questions | number | hit@1 | hit@shown | quotes | characters |"
    yield "|---|---|---|---|---|---|"
    for name, some in (
        ("en", [q for q in asked if not is_cjk(q.question)]),
        ("zh", [q for q in asked if is_cjk(q.question)]),
        ("all", list(asked)),
    ):
        first, any_ = fmean(q.hits[0] for q in some), fmean(any(q.hits) for q in some)
        quotes, characters = fmean(len(q.quotes) for q in some), fmean(sum(map(len, q.quotes)) for q in some)
        yield f"| {name} | {len(some)} | {first:.3f} | {any_:.3f} | {quotes:.2f} | {characters:.0f} |"


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the quotes of extractive answers on a running mesh.")
    parser.add_argument("--config", help="ragq.yml of the mesh; the usual places when not given")
    parser.add_argument("--misses", action="store_true", help="print the answers whose first quote misses")
    given = parser.parse_args()
    lines = [json.loads(line) for line in HANDBOOK.read_text(encoding="utf-8").splitlines()]
    with Ragq(given.config, timeout_s=120.0) as mesh:
        asked = [ask(mesh, line["question"], line["answers"]) for line in lines if line["documents"]]
    print("\n".join(report(asked)))
    for each in asked:
        if given.misses and not each.hits[0]:
            print(f"\n{each.question}")
            print("\n".join(f"  {'+' if hit else '-'} {q}" for q, hit in zip(each.quotes, each.hits, strict=True)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
