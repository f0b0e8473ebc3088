"""What does a query of the vector stores cost, next to Chroma asked directly, and does it find the nearest?

    python benchmarks/index.py [--sizes 10000,100000] [--rounds 5] [--seconds 1.0] [--chroma-store]

Vectors of 384 dimensions in clusters of about a hundred; questions are vectors of the set with as much noise again. One
thread for linear algebra; callers are threads of this process. Figures are CPU milliseconds of the whole process per
query, medians of interleaved rounds, and recall@10 against a search of everything in float64. Chroma asked directly has
its own defaults. The stores in memory are as they serve: a scan of small collections, codes of large ones.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from services.index.stores.base import Among, VectorStore, unit_rows  # noqa: E402
from services.index.stores.chroma import ChromaStore  # noqa: E402
from services.index.stores.coded import CodedStore  # noqa: E402
from services.index.stores.exact import MAX_VECTORS, ExactStore  # noqa: E402
from services.index.stores.memory import MemoryStore  # noqa: E402

DIMENSION = 384
CLUSTER = 100
NUM_QUESTIONS = 200
TOP = 10
FILTERED_SHARE = 0.1
PEER_BATCH = 5000
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


def ways(peer: Any, stores: Mapping[str, VectorStore], some: Sequence[str]) -> Iterator[Way]:
    """Chroma's own query, and those of this project's stores."""

    def asked(question: np.ndarray, **more: object) -> list[str]:
        return list(peer.query(query_embeddings=question, n_results=TOP, include=["distances"], **more)["ids"][0])

    for is_filtered in (False, True):
        more = {"ids": list(some)} if is_filtered else {}
        among = Among(some) if is_filtered else None
        asks: dict[str, Ask] = {"chroma directly": lambda question, more=more: asked(question, **more)}
        for name, store in stores.items():
            asks[name] = lambda question, store=store, among=among: _ids(store, question, among)
        for name, ask in asks.items():
            for num_callers in (1, 8):
                yield Way(name, ask, num_callers, is_filtered)


def _ids(store: VectorStore, question: np.ndarray, among: Among | None) -> list[str]:
    return [near.id for near in store.query(NAME, question, TOP, among)[0]]


def opened(home: Path, ids: Sequence[str], rows: np.ndarray, has_chroma: bool) -> Iterator[tuple[str, VectorStore]]:
    """The store in memory that serves so many vectors, full and ready, and this project's Chroma if wanted."""
    coded = CodedStore(MemoryStore())
    store: VectorStore = ExactStore(coded)
    made = [("in memory", store), *([("ChromaStore", ChromaStore(home / "own"))] if has_chroma else [])]
    for name, each in made:
        each.open()
        each.create(NAME)
        began = time.process_time()
        each.upsert(NAME, ids, rows)
        if name == "in memory" and len(ids) > MAX_VECTORS:
            each.query(NAME, rows[:1], TOP)
            while not coded.is_ready(NAME):
                time.sleep(0.1)
        print(f"{name}: {time.process_time() - began:.1f} CPU seconds to build for {len(ids)} vectors", flush=True)
        yield name, each


def chroma(home: Path, ids: Sequence[str], rows: np.ndarray) -> Any:
    """A collection of Chroma with its defaults, full."""
    import chromadb
    from chromadb.config import Settings

    client = chromadb.PersistentClient(str(home), settings=Settings(anonymized_telemetry=False))
    peer = client.create_collection(NAME, configuration={"hnsw": {"space": "cosine"}}, embedding_function=None)
    began = time.process_time()
    for at in range(0, len(ids), PEER_BATCH):
        peer.upsert(ids=list(ids[at : at + PEER_BATCH]), embeddings=rows[at : at + PEER_BATCH])
    print(f"chroma: {time.process_time() - began:.1f} CPU seconds to build for {len(ids)} vectors", flush=True)
    return peer


def recall(way: Way, questions: np.ndarray, wanted: Sequence[set[str]]) -> float:
    """Share of the ten nearest that are found."""
    found = sum(len(right & set(way.ask(row[None]))) for row, right in zip(questions, wanted, strict=True))
    return found / (TOP * len(wanted))


def report(count: int, rounds: int, seconds: float, has_chroma: bool) -> Iterator[str]:
    """A Markdown table for one size."""
    rows, questions = made(count)
    ids = [f"v{i}" for i in range(count)]
    chosen = np.random.default_rng(1).choice(count, int(count * FILTERED_SHARE), replace=False)
    with tempfile.TemporaryDirectory() as home:
        stores = dict(opened(Path(home), ids, rows, has_chroma))
        all_ways = list(ways(chroma(Path(home) / "peer", ids, rows), stores, [ids[i] for i in chosen]))
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
        for store in stores.values():
            store.close()


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--chroma-store", action="store_true", help="this project's Chroma as well, which builds long")
    given = parser.parse_args()
    for size in map(int, given.sizes.split(",")):
        for line in report(size, given.rounds, given.seconds, given.chroma_store):
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
