"""What does it cost a worker to ask a Chroma server, next to Chroma's own client?

    python benchmarks/chroma_client.py [--rounds 7] [--queries 200]

One server, one thread, 2,000 random vectors of 384 dimensions. Figures are CPU milliseconds of this process per query,
medians of interleaved rounds, and what a process takes that has imported either and asked nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from services.index.stores.exchange import Exchange  # noqa: E402
from services.index.stores.server import ChromaServer  # noqa: E402
from services.index.stores.whereabouts import Whereabouts  # noqa: E402

NUM_VECTORS, DIMENSION, START_S = 2000, 384, 30.0
NAME = "benchmark"
IMPORTS = {"ours": "from services.index.stores.server import ChromaServer", "chromadb": "import chromadb"}
WEIGHT = "; import time; print(open('/proc/self/status').read().split('VmRSS:')[1].split()[0], time.process_time())"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--queries", type=int, default=200)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        process = _started(Path(folder))
        try:
            _compare(Whereabouts(Path(folder)), given.rounds, given.queries)
        finally:
            process.terminate()
            process.wait()
    for name, statement in IMPORTS.items():
        _weigh(name, statement)


def _started(home: Path) -> subprocess.Popen[bytes]:
    config = home / "ragq.yml"
    config.write_text(f"data_dir: {home}\nindex: {{store: chroma-server}}\n", encoding="utf-8")
    command = [sys.executable, str(ROOT / "service.py"), "store", "--config", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    end = time.monotonic() + START_S
    while Whereabouts(home).read() is None and time.monotonic() < end:
        time.sleep(0.05)
    return process


def _compare(where: Whereabouts, rounds: int, num_queries: int) -> None:
    import chromadb
    from chromadb.config import Settings

    rows = np.random.default_rng(0).standard_normal((NUM_VECTORS, DIMENSION)).astype(np.float32)
    ours = ChromaServer(Exchange(where.url))
    ours.create(NAME)
    ours.upsert(NAME, [f"{n:032x}" for n in range(NUM_VECTORS)], rows)
    place = where.read()
    assert place is not None
    client = chromadb.HttpClient("127.0.0.1", place.port, settings=Settings(anonymized_telemetry=False))
    theirs = client.get_collection(NAME, embedding_function=None)
    for k in (10, 100):
        asked: dict[str, Callable[[np.ndarray], object]] = {
            "ours": lambda row, k=k: ours.query(NAME, row, k),
            "chromadb": lambda row, k=k: theirs.query(query_embeddings=row, n_results=k, include=["distances"]),
        }
        costs = {name: [] for name in asked}
        for _ in range(rounds):
            for name, ask in asked.items():
                costs[name].append(_cost_ms(ask, rows[:num_queries]))
        ratios = [theirs_ms / ours_ms for ours_ms, theirs_ms in zip(*costs.values(), strict=True)]
        print(f"k={k}: " + ", ".join(f"{name} {median(ms):.2f} ms" for name, ms in costs.items()), end="")
        print(f", ratio {median(ratios):.2f}")
    ours.close()


def _cost_ms(ask: Callable[[np.ndarray], object], rows: np.ndarray) -> float:
    began = time.process_time()
    for at in range(len(rows)):
        ask(rows[at : at + 1])
    return (time.process_time() - began) * 1000 / len(rows)


def _weigh(name: str, statement: str) -> None:
    done = subprocess.run([sys.executable, "-c", statement + WEIGHT], cwd=ROOT, capture_output=True, check=True)
    kilobytes, seconds = done.stdout.split()
    print(f"{name}: imported it takes {int(kilobytes) / 1024:.0f} MB and {float(seconds):.2f} s of processor time")


if __name__ == "__main__":
    main()
