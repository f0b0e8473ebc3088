"""What do people notice who search a collection while its embedding model is changed?

    ragq up                                            # in another terminal, with models to be measured
    python benchmarks/reindex.py --data DIR --to all-minilm-l6-v2 [--seconds 30] [--log]

DIR is a data set in BEIR layout. Two callers ask its questions by vectors alone, before, during and after the change,
and note which model answered, what was found, and how long it took. With one model the same question has the same hits
in every phase: what differs was not found by that model alone.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from clients import Ragq  # noqa: E402
from clients.evaluation import Beir, read_beir  # noqa: E402
from ui.cli.testset import fill  # noqa: E402

CALLERS = 2
TOP_K = 10
NAME = "reindexed"


@dataclass(frozen=True, slots=True)
class Asked:
    """One search: in which phase, by which model, what was found, and how long it took."""

    phase: str
    model: str
    question: str
    found: tuple[str, ...]
    is_right: bool
    seconds: float


class Callers:
    """Threads that ask one question after another."""

    def __init__(self, mesh: Ragq, beir: Beir) -> None:
        self._mesh, self._beir = mesh, beir
        self._keys = sorted(beir.queries)
        self._is_over = threading.Event()
        self.phase = "before"
        self.asked: list[Asked] = []

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Ask while the block runs."""
        threads = [threading.Thread(target=self._run, args=(number,)) for number in range(CALLERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join()

    def _run(self, number: int) -> None:
        while not self._is_over.is_set():
            self._ask(self._keys[number % len(self._keys)])
            number += CALLERS

    def _ask(self, key: str) -> None:
        question, phase, began = self._beir.queries[key], self.phase, time.perf_counter()
        hits = self._mesh.index.find(NAME, question, TOP_K, "dense", rerank=False)
        seconds = time.perf_counter() - began
        found = tuple(hit.chunk_id for hit in hits.hits)
        gold = {document for document, grade in self._beir.judgements[key].items() if grade > 0}
        is_right = bool(gold & {hit.document for hit in hits.hits})
        self.asked.append(Asked(phase, hits.model, question, found, is_right, seconds))


def rows(asked: Sequence[Asked]) -> Iterator[str]:
    """A line of the table for each phase and model."""
    reference: dict[tuple[str, str], tuple[str, ...]] = {}
    for one in asked:
        reference.setdefault((one.model, one.question), one.found)
    for phase, model in dict.fromkeys((one.phase, one.model) for one in asked):
        own = [one for one in asked if (one.phase, one.model) == (phase, model)]
        times = sorted(one.seconds for one in own)
        differ = sum(one.found != reference[one.model, one.question] for one in own)
        right = sum(one.is_right for one in own) / len(own)
        p50, p95 = times[len(times) // 2], times[int(0.95 * len(times))]
        counts = f"{len(own)} | {sum(not one.found for one in own)} | {differ} | {right:.3f}"
        yield f"| {phase} | {model} | {counts} | {1000 * p50:.0f} | {1000 * p95:.0f} | {1000 * times[-1]:.0f} |"


def measured(mesh: Ragq, beir: Beir, model: str, seconds: float) -> tuple[list[Asked], float, int]:
    """The searches, the seconds that the change took, and the chunks that were embedded."""
    fill(mesh, NAME, beir)
    callers = Callers(mesh, beir)
    with callers.calling():
        time.sleep(seconds)
        callers.phase = "during"
        began = time.perf_counter()
        record = mesh.index.reindex(NAME, model).wait()
        took_s = time.perf_counter() - began
        callers.phase = "after"
        time.sleep(seconds)
    if record.status != "succeeded":
        raise SystemExit(f"the re-index {record.status}: {record.reason}")
    return callers.asked, took_s, record.num_chunks


def main() -> None:
    """Print the table, and append it to the log if told to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--to", required=True, help="the next embedding model")
    parser.add_argument("--seconds", type=float, default=30.0, help="before and after the change")
    parser.add_argument("--log", action="store_true", help="append to benchmarks/LOG.md")
    options = parser.parse_args()
    with Ragq(timeout_s=120.0) as mesh:
        serving = next(model.name for model in mesh.llm.models() if model.role == "embed")
        asked, took_s, num_chunks = measured(mesh, read_beir(options.data), options.to, options.seconds)
    lines = [
        f"## {datetime.now(UTC):%Y-%m-%d} a change of the embedding model under searches",
        "",
        f"`benchmarks/reindex.py`, {options.data.name}: {num_chunks} chunks from {serving} to {options.to} in",
        f"{took_s:.1f} s, {CALLERS} callers, vectors alone, top {TOP_K}. Differing hits are those that the same model",
        "did not find for the same question before.",
        "",
        "| phase | model | searches | empty | differing | right | p50 ms | p95 ms | longest ms |",
        "|---|---|---|---|---|---|---|---|---|",
        *rows(asked),
        "",
    ]
    print("\n".join(lines))
    if options.log:
        with (ROOT / "benchmarks" / "LOG.md").open("a", encoding="utf-8") as log:
            log.write("\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
