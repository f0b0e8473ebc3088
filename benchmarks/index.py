"""What does a query of the vector stores cost, next to Chroma asked directly, and does it find the nearest?

    python benchmarks/index.py [--sizes 10000,100000] [--rounds 5] [--seconds 1.0]

Vectors of 384 dimensions in clusters of about a hundred; questions are vectors of the set with as much noise again. One
thread for linear algebra; callers are threads of this process. Figures are CPU milliseconds of the whole process per
query, medians of interleaved rounds, and recall@10 against a search of everything in float64.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from services.index.stores.base import unit_rows  # noqa: E402
from services.index.stores.chroma import ChromaStore  # noqa: E402
from services.index.stores.exact import ExactStore  # noqa: E402

DIMENSION = 384
CLUSTER = 100
NUM_QUESTIONS = 200
TOP = 10
FILTERED_SHARE = 0.1
NAME = "benchmark"
Ask = Callable[[np.ndarray], list[str]]


@dataclass(frozen=True, slots=True)
class Way:
    """A way to ask, and for how many callers at once."""

    name: str
    ask: Ask
    num_callers: int
    is_filtered: bool


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a query.

    Attributes:
        cpu_ms: of the whole process.
        wall_ms: seen by a caller.
    """

    cpu_ms: float
    wall_ms: float


def made(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors float32 [count, dim], and questions [NUM_QUESTIONS, dim]."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((max(1, count // CLUSTER), DIMENSION))
    rows = centres[random.integers(0, len(centres), count)] + random.standard_normal((count, DIMENSION))
    near = rows[random.integers(0, count, NUM_QUESTIONS)] + random.standard_normal((NUM_QUESTIONS, DIMENSION))
    return unit_rows(rows), unit_rows(near)


def truth(rows: np.ndarray, questions: np.ndarray, among: np.ndarray) -> list[set[str]]:
    """The ids of the ten nearest of each question."""
    scores = questions.astype(np.float64) @ rows[among].astype(np.float64).T
    return [{f"v{among[i]}" for i in row} for row in np.argpartition(-scores, TOP, axis=1)[:, :TOP]]


def measured(way: Way, questions: np.ndarray, seconds: float) -> Cost:
    """Let the callers ask for so long."""
    end, counts = time.monotonic() + seconds, [0] * way.num_callers

    def call(number: int) -> None:
        while time.monotonic() < end:
            way.ask(questions[(number * 31 + counts[number]) % len(questions)][None])
            counts[number] += 1

    threads = [threading.Thread(target=call, args=(n,)) for n in range(way.num_callers)]
    began, cpu = time.monotonic(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall, spent = time.monotonic() - began, time.process_time() - cpu
    return Cost(1000 * spent / sum(counts), 1000 * wall * way.num_callers / sum(counts))


def ways(chroma: ChromaStore, exact: ExactStore, some: Sequence[str]) -> Iterator[Way]:
    """Chroma's own query, this project's store over it, and the copy in memory."""
    direct = chroma._collection(NAME)  # noqa: SLF001

    def asked(question: np.ndarray, **more: object) -> list[str]:
        return list(direct.query(query_embeddings=question, n_results=TOP, include=["distances"], **more)["ids"][0])

    for is_filtered in (False, True):
        among = list(some) if is_filtered else None
        more = {"ids": among} if is_filtered else {}
        asks: dict[str, Ask] = {
            "chroma directly": lambda question, more=more: asked(question, **more),
            "ChromaStore": lambda question, among=among: _ids(chroma, question, among),
            "ExactStore": lambda question, among=among: _ids(exact, question, among),
        }
        for name, ask in asks.items():
            for num_callers in (1, 8):
                yield Way(name, ask, num_callers, is_filtered)


def _ids(store: ChromaStore | ExactStore, question: np.ndarray, among: list[str] | None) -> list[str]:
    return [near.id for near in store.query(NAME, question, TOP, among)[0]]


def recall(way: Way, questions: np.ndarray, wanted: Sequence[set[str]]) -> float:
    """Share of the ten nearest that are found."""
    found = sum(len(right & set(way.ask(row[None]))) for row, right in zip(questions, wanted, strict=True))
    return found / (TOP * len(wanted))


def report(count: int, rounds: int, seconds: float) -> Iterator[str]:
    """A Markdown table for one size."""
    rows, questions = made(count)
    ids = [f"v{i}" for i in range(count)]
    chosen = np.random.default_rng(1).choice(count, int(count * FILTERED_SHARE), replace=False)
    with tempfile.TemporaryDirectory() as home:
        chroma = ChromaStore(Path(home) / "chroma")
        exact = ExactStore(chroma, max_vectors=count)
        exact.open()
        exact.create(NAME)
        exact.upsert(NAME, ids, rows)
        all_ways = list(ways(chroma, exact, [ids[i] for i in chosen]))
        few = questions[:50]
        wanted = {False: truth(rows, few, np.arange(count)), True: truth(rows, few, chosen)}
        recalls = [recall(way, few, wanted[way.is_filtered]) for way in all_ways]
        costs: list[list[Cost]] = [[] for _ in all_ways]
        for _ in range(rounds):
            for way, own in zip(all_ways, costs, strict=True):
                own.append(measured(way, questions, seconds))
        yield f"| {count} vectors | callers | filter | CPU ms | ÷ Chroma directly | wall ms | recall@10 |"
        yield "|---|---|---|---|---|---|---|"
        for way, own, share in zip(all_ways, costs, recalls, strict=True):
            peers = next(
                costs[i] for i, w in enumerate(all_ways)
                if (w.num_callers, w.is_filtered) == (way.num_callers, way.is_filtered)
            )  # fmt: skip
            ratio = median(mine.cpu_ms / theirs.cpu_ms for mine, theirs in zip(own, peers, strict=True))
            cpu, wall = median(c.cpu_ms for c in own), median(c.wall_ms for c in own)
            kind = "10 %" if way.is_filtered else "none"
            yield f"| {way.name} | {way.num_callers} | {kind} | {cpu:.2f} | {ratio:.2f} | {wall:.2f} | {share:.3f} |"
        exact.close()


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    given = parser.parse_args()
    for size in map(int, given.sizes.split(",")):
        for line in report(size, given.rounds, given.seconds):
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
