"""How fast does the mesh serve embeddings, next to other servers of the same model?

    python benchmarks/serve.py --home HOME [--rounds 5] [--dtype fp32] [--log] [--gate]
        [--infinity PYTHON] [--fastapi PYTHON] [--litserve PYTHON] [--mosec PYTHON]

HOME holds the model: ``ragq models pull all-minilm-l6-v2``. Each PYTHON is the interpreter of an
environment that has the server; one that is not given is left out:

    infinity: 'infinity-emb[server]==0.0.78' 'sentence-transformers==3.4.1' 'transformers==4.57.*'
    others: sentence-transformers, and fastapi uvicorn orjson, or litserve, or mosec orjson

Everybody serves all-MiniLM-L6-v2 with one model thread, cut at 256 tokens, one text in a request; no
text is ever sent twice. Every round runs all cases of all servers in a new order. What counts is the
processor time of a server's whole process tree for a request, and the median of the rounds' ratios;
requests per second and latencies move with whatever else the machine does.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.rigs.rig import stage  # noqa: E402
from benchmarks.rigs.rounds import Rounds  # noqa: E402
from benchmarks.serving import table  # noqa: E402
from benchmarks.serving.servers import FASTAPI, INFINITY, LITSERVE, MOSEC, Server, ours, peers  # noqa: E402

PEERS = {"infinity": INFINITY, "fastapi": FASTAPI, "litserve": LITSERVE, "mosec": MOSEC}
MIN_COSINE = {"fp32": 0.9999, "bf16": 0.999, "int8": 0.99}


def measure(given: argparse.Namespace) -> Rounds:
    """Start everybody, see that they agree, and measure."""
    rounds = Rounds()
    with stage() as processes:
        servers = ours(processes, given.home, given.dtype)
        interpreters = {name: getattr(given, option) for option, name in PEERS.items() if getattr(given, option)}
        servers += peers(processes, given.home, interpreters)
        agree(servers, MIN_COSINE[given.dtype])
        plan = [(server, case) for server in servers for case in table.CASES]
        rounds.run(plan, given.rounds, 1.0)
    return rounds


def agree(servers: list[Server], min_cosine: float) -> None:
    """Everybody gives the same vector for the same text, so that they do the same work."""
    expected = np.array(servers[0].load.cases, np.float32)
    for server in servers:
        found = np.array(server.load.cases, np.float32)
        cosine = float(expected @ found / np.linalg.norm(expected) / np.linalg.norm(found))
        if cosine < min_cosine:
            raise RuntimeError(f"{server.name} gives another vector: cosine {cosine:.5f}")


def capabilities() -> str:
    """What the processor multiplies fast, as OpenVINO tells it."""
    import openvino

    return ", ".join(openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure how the mesh serves embeddings, next to other servers.")
    parser.add_argument("--home", type=Path, required=True, help="data directory that holds the model")
    parser.add_argument("--dtype", choices=list(MIN_COSINE), default="fp32", help="of our model; theirs is fp32")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured")
    parser.add_argument("--log", action="store_true", help="append to benchmarks/LOG.md")
    parser.add_argument("--gate", action="store_true", help="exit with 1 when a target is missed")
    for option, name in PEERS.items():
        parser.add_argument(f"--{option}", metavar="PYTHON", help=f"interpreter of an environment with {name}")
    given = parser.parse_args()
    given.home = given.home.resolve()
    began = time.monotonic()
    rounds = measure(given)
    place = f"{platform.machine()} ({capabilities()}), Python {platform.python_version()}, {given.dtype}"
    effort = f"{given.rounds} rounds in {time.monotonic() - began:.0f} s"
    gates = f"Gates against others: those of bf16 times {table.scale_of(given.dtype):.2f}, as the engine is."
    head = [f"## {datetime.now(UTC):%Y-%m-%d} serving", "", f"{place}, {effort}. {gates}", ""]
    text = "\n".join([*head, *table.promises(rounds, given.dtype), "", *table.figures(rounds)]) + "\n"
    print(text)
    if given.log:
        with (ROOT / "benchmarks" / "LOG.md").open("a", encoding="utf-8") as log:
            log.write(f"\n{text}")
    failed = any(verdict == "FAIL" for _, _, verdict in table.judged(rounds, given.dtype))
    return int(given.gate and failed)


if __name__ == "__main__":
    sys.exit(main())
