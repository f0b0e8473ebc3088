"""How much processor time does reranking cost, next to transformers and sentence-transformers?

    python benchmarks/rerank.py --peers-python PYTHON [--layers 4] [--rounds 5] [--log]

PYTHON's environment has the peers: ``pip install torch transformers sentence-transformers``.

One query with 20 documents. The causal model has the shape of Qwen3-Reranker-0.6B with random weights, by
default 4 of its 28 layers and as large a share of its vocabulary. Each round runs every variant on texts of its
own; what counts is the median of the rounds' ratios of processor seconds, one thread each. Ours goes through
tokenising, queue and batches; the causal peers get token ids. Ours works in the last layer on the last token
alone, which saves more of 4 layers than of 28: so ours is also told with its time raised to what 28 layers save.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import openvino  # noqa: E402

from benchmarks.rigs import rerank_models as texts  # noqa: E402
from clients.config import Model  # noqa: E402
from services.llm.backends.openvino.backend import BACKEND  # noqa: E402
from services.llm.backends.registry import Site  # noqa: E402
from services.llm.reranking import Reranking  # noqa: E402
from services.models import Shelf  # noqa: E402
from services.service import Call  # noqa: E402

NUM_DOCUMENTS = 20
NUM_WARM = 3
CALL_S = 600.0
PEERS = {
    "naive": "transformers, as the model's page says",
    "last": "transformers, head at the last position",
    "alone": "transformers, one by one",
    "sorted": "transformers, sorted, 1024 tokens",
    "shared": "transformers, shared beginning, sorted",
}


class Peer:
    """The process of the other environment."""

    def __init__(self, python: str) -> None:
        script = ROOT / "benchmarks" / "rigs" / "rerank_peer.py"
        self._process = subprocess.Popen(
            [python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **task: Any) -> dict[str, Any]:
        """Have a task done."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@dataclass(frozen=True, slots=True)
class Measured:
    """Processor seconds and logits of one variant in one round."""

    cpu_s: float
    logits: Sequence[float]


Variants = dict[str, Callable[[list[tuple[str, str]]], Measured]]


def ours(reranking: Reranking) -> Callable[[list[tuple[str, str]]], Measured]:
    """Our reranker as a variant."""

    def measure(pairs: list[tuple[str, str]]) -> Measured:
        start = time.process_time()
        scores = reranking.score(pairs, Call(time.monotonic() + CALL_S))
        return Measured(time.process_time() - start, scores.logits.tolist())

    return measure


def peers(peer: Peer, name: str, items: Callable[[list[tuple[str, str]]], Any]) -> Callable[..., Measured]:
    """A variant of the other process."""

    def measure(pairs: list[tuple[str, str]]) -> Measured:
        answer = peer.ask(do=name, items=items(pairs))
        return Measured(answer["cpu_s"], answer["logits"])

    return measure


def compare(variants: Variants, rounds: int, first: str) -> dict[str, tuple[float, float]]:
    """For each variant the median of ``first``'s time over its own, and the largest difference of a logit."""
    ratios: dict[str, list[float]] = {name: [] for name in variants}
    apart = dict.fromkeys(variants, 0.0)
    for number in range(-1, rounds):
        pairs = texts.pairs(number, NUM_DOCUMENTS if number >= 0 else NUM_WARM)
        order = sorted(variants) if number % 2 else sorted(variants, reverse=True)
        found = {name: variants[name](pairs) for name in order}
        if number < 0:  # the first round warms up
            continue
        for name, measured in found.items():
            ratios[name].append(found[first].cpu_s / measured.cpu_s)
            differences = zip(measured.logits, found[first].logits, strict=True)
            apart[name] = max(apart[name], *(abs(one - other) for one, other in differences))
    return {name: (statistics.median(ratios[name]), apart[name]) for name in variants}


def causal(peer: Peer, home: Path, layers: int, rounds: int, dtypes: Sequence[str]) -> list[str]:
    """Lines of a table about Qwen3-Reranker."""
    directory = home / "qwen3-reranker"
    texts.write_causal(directory, layers)
    site = Site(Shelf(home), 1, home / "cache")
    scorers = {dtype: BACKEND.scorer(Model(str(directory), dtype=dtype), site) for dtype in dtypes}  # type: ignore[arg-type]
    scorer = scorers["fp32"]
    prepared = scorer.prepare(texts.pairs(0, NUM_DOCUMENTS))
    vocabulary = json.loads((directory / "tokenizer.json").read_text())["model"]["vocab"]
    peer.ask(do="causal", directory=str(directory), dtype="float32", ids=[vocabulary["yes"], vocabulary["no"]])

    def prompts(pairs: list[tuple[str, str]]) -> list[list[int]]:
        return [[*pair.shared, *pair.ids.tolist()] for pair in scorer.prepare(pairs)]

    variants: Variants = {name: peers(peer, name, prompts) for name in PEERS}
    rerankers = {f"ragq {dtype}": Reranking(scorer) for dtype, scorer in scorers.items()}
    variants |= {name: ours(reranking) for name, reranking in rerankers.items()}
    own, shared = [len(pair.ids) for pair in prepared], len(prepared[0].shared)
    found = compare(variants, rounds, "naive")
    for reranking in rerankers.values():
        reranking.close()
    saved, real = _done(own, shared, layers), _done(own, shared, texts.REAL_LAYERS)
    what = f"{shared} tokens shared, {statistics.mean(own):.0f} of each document's own ({min(own)} to {max(own)})"
    return [
        f"{layers} layers, {rounds} rounds; {what}.",
        "",
        "| variant | x vs transformers naive | as with 28 layers | largest difference of a logit |",
        "|---|---|---|---|",
        *(_row(name, *found[name], 1.0 if name in PEERS else saved / real) for name in found),
    ]


def _row(name: str, ratio: float, apart: float, real: float) -> str:
    return f"| {PEERS.get(name, name)} | {ratio:.2f} | {ratio * real:.2f} | {apart:.1e} |"


def _done(own: Sequence[int], shared: int, layers: int) -> float:
    """The share of the multiplications of all layers that is left when the last one works on the last token alone."""
    c = texts
    keys = 2 * c.HIDDEN * c.KV_HEADS * c.HEAD_WIDTH
    rest = 2 * c.HIDDEN * c.HEADS * c.HEAD_WIDTH + 3 * c.HIDDEN * c.INNER
    tokens = shared + sum(own)
    left = tokens * keys + (len(own) + 1) * rest
    return ((layers - 1) * tokens * (keys + rest) + left) / (layers * tokens * (keys + rest))


def cross_encoder(peer: Peer, home: Path, rounds: int, dtypes: Sequence[str]) -> list[str]:
    """Lines of a table about ms-marco-MiniLM-L6."""
    directory = home / "cross-encoder"
    texts.write_cross_encoder(directory)
    site = Site(Shelf(home), 1, home / "cache")
    peer.ask(do="cross_encoder", directory=str(directory))
    rerankers = {
        f"ragq {dtype}": Reranking(BACKEND.scorer(Model(str(directory), dtype=dtype), site))  # type: ignore[arg-type]
        for dtype in dtypes
    }
    variants: Variants = {"sentence-transformers": peers(peer, "pairs", lambda pairs: pairs)}
    variants |= {name: ours(reranking) for name, reranking in rerankers.items()}
    found = compare(variants, rounds * 3, "sentence-transformers")
    for reranking in rerankers.values():
        reranking.close()
    return [
        "| MiniLM-L6 cross-encoder | x vs sentence-transformers | largest difference of a logit |",
        "|---|---|---|",
        *(f"| {name} | {ratio:.2f} | {apart:.1e} |" for name, (ratio, apart) in found.items()),
    ]


def main() -> None:
    """Measure, print, and with --log append to the log."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", required=True)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--log", action="store_true")
    options = parser.parse_args()
    core = openvino.Core()
    name = core.get_property("CPU", "FULL_DEVICE_NAME")
    capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    dtypes = ["fp32", *(["bf16"] if "BF16" in capabilities else []), "int8"]
    peer = Peer(options.peers_python)
    with TemporaryDirectory() as home:
        machine = f"{name}, {', '.join(capabilities)}; OpenVINO {openvino.__version__}."
        log = [f"## {datetime.now(UTC):%Y-%m-%d} rerank\n\n{machine}"]
        log.append("\n".join(causal(peer, Path(home), options.layers, options.rounds, dtypes)))
        sys.stdout.write("\n\n".join(log) + "\n\n")
        sys.stdout.flush()
        log.append("\n".join(cross_encoder(peer, Path(home), options.rounds, dtypes)))
    peer.close()
    sys.stdout.write(log[-1] + "\n")
    if options.log:
        with (ROOT / "benchmarks" / "LOG.md").open("a", encoding="utf-8") as file:
            file.write("\n" + "\n\n".join(log) + "\n")


if __name__ == "__main__":
    main()
