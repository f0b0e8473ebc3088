"""How much less processor time do embeddings take than with sentence-transformers?

    python benchmarks/embed.py --peers-python PYTHON [--model all-minilm-l6-v2] [--rounds 5] [--texts 96]

PYTHON has sentence-transformers and torch in an environment of its own. One thread on both sides, the same weights, the
same limit of tokens, tokenising included. The lengths are lognormal, 16 to 400 words' tokens with a median of 93. Each
round runs every engine once, in turn; a ratio is the median over the rounds of a round's ratio. Batches of 32
(the peer's default, sorted by length) and of 1 are both tried, and ours are compared with the better.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from clients.config import Config  # noqa: E402
from services.llm.backends.layout import Layout, layout_of  # noqa: E402
from services.llm.backends.openvino.embedder import OpenVINOEmbedder  # noqa: E402
from services.llm.embedding import Embedding  # noqa: E402
from services.models import Shelf, Shelved  # noqa: E402
from services.models.checkpoint import Checkpoint  # noqa: E402
from services.models.json_file import read_map  # noqa: E402
from services.service import Call  # noqa: E402

PEER = ROOT / "benchmarks" / "rigs" / "st_embed.py"
PEER_BATCHES = (32, 1)
TOKENS_PER_WORD = 1.4
GATES = {"fp32": 2.0, "bf16": 3.5, "int8": 5.0}
LEAST_COSINE = {"fp32": 0.9999, "bf16": 0.9999, "int8": 0.998}
LIMIT_SIZE = 1024


@dataclass(frozen=True, slots=True)
class Engine:
    """One of those compared, its processor seconds by round, and its vectors [n, dim]."""

    name: str
    seconds: list[float] = field(default_factory=list)
    vectors: list[np.ndarray] = field(default_factory=list)


class Peer:
    """sentence-transformers in a process of its own."""

    def __init__(self, python: str, model: Shelved, texts: Sequence[str], work: Path) -> None:
        (work / "texts.json").write_text(json.dumps(list(texts)), encoding="utf-8")
        self._vectors = work / "vectors.npy"
        command = [python, str(PEER), str(model.path), str(model.card.max_tokens), str(work / "texts.json")]
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        self._process = subprocess.Popen(
            [*command, str(self._vectors)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | threads | {"HF_HUB_OFFLINE": "1"},
        )  # fmt: skip

    def embed(self, batch: int) -> tuple[float, np.ndarray]:
        """Processor seconds for all texts, and their vectors."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{batch}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline()), np.load(self._vectors)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def corpus(number: int, rng: random.Random) -> list[str]:
    """Passages of the documentation with lengths as those of a text collection."""
    words = " ".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))).split()
    sizes = [min(400.0, max(16.0, rng.lognormvariate(np.log(93), 0.6))) / TOKENS_PER_WORD for _ in range(number)]
    starts = [rng.randrange(len(words) - 400) for _ in range(number)]
    return [" ".join(words[start : start + round(size)]) for start, size in zip(starts, sizes, strict=True)]


def ours(embedding: Embedding, texts: Sequence[str]) -> tuple[float, np.ndarray]:
    """Processor seconds for all texts, and their vectors."""
    start = time.process_time()
    found = embedding.embed(texts, "document", Call(time.monotonic() + 600))
    return time.process_time() - start, found.vectors


def flops(layout: Layout, checkpoint: Checkpoint, lengths: Sequence[int]) -> float:
    """Multiplications and additions of the forward passes without padding."""
    inner = checkpoint.tensor(f"{layout.names.layer.format(0)}{layout.names.inner}.weight").shape[0]
    matrices = 2 * (4 * layout.hidden**2 + 2 * layout.hidden * inner) * sum(lengths)
    attention = 4 * layout.hidden * sum(length**2 for length in lengths)
    return float(layout.layers * (matrices + attention))


def limit() -> float:
    """Flops per processor second of a large fp32 product on one thread, the best of ten."""
    import openvino
    import openvino.opset15 as op

    left = op.parameter([LIMIT_SIZE, LIMIT_SIZE], np.float32, name="left")
    right = op.constant(np.ones((LIMIT_SIZE, LIMIT_SIZE), np.float32))
    graph = openvino.Model([op.result(op.matmul(left, right, False, True))], [left], "limit")  # noqa: FBT003 - the order of OpenVINO
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(graph, "CPU", settings).create_infer_request()
    seconds = []
    for _ in range(10):
        start = time.process_time()
        request.infer({"left": np.ones((LIMIT_SIZE, LIMIT_SIZE), np.float32)}, share_inputs=True)
        seconds.append(time.process_time() - start)
    return 2 * LIMIT_SIZE**3 / min(seconds)


def compare(engines: Sequence[Engine], work: float, top: float) -> Iterator[str]:
    """A Markdown table against the better of the peers."""
    peers = [engine for engine in engines if engine.name.startswith("sentence-transformers")]
    default, best = peers[0], min(peers, key=lambda engine: median(engine.seconds))
    yield f"better peer: {best.name}"
    yield "| engine | x better peer | x its default | cpu s | GFLOP/cpu s | of fp32 limit | cosine, mean (least) |"
    yield "|---|---|---|---|---|---|---|"
    for engine in engines:
        spent = median(engine.seconds)
        ratio, to_default = (
            median(a / b for a, b in zip(peer.seconds, engine.seconds, strict=True)) for peer in (best, default)
        )
        cosines = np.sum(engine.vectors[-1] * best.vectors[-1], axis=1)
        yield (
            f"| {engine.name} | {ratio:.2f} | {to_default:.2f} | {spent:.2f} | {work / spent / 1e9:.0f} "
            f"| {work / spent / top:.0%} | {cosines.mean():.5f} ({cosines.min():.5f}) |"
        )
        if (gate := GATES.get(engine.name)) and (ratio < gate or cosines.mean() < LEAST_COSINE[engine.name]):
            yield f"| FAIL {engine.name}: x {gate} at a cosine of {LEAST_COSINE[engine.name]} is wanted | | | | | | |"


def main() -> None:
    import openvino

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", required=True, help="an interpreter that has sentence-transformers")
    parser.add_argument("--model", default="all-minilm-l6-v2", help="name on the shelf or path [all-minilm-l6-v2]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=96)
    options = parser.parse_args()
    model = Shelf(Config().home).locate(options.model)
    texts = corpus(options.texts, random.Random(1))
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    dtypes = ("fp32", "bf16", "int8") if "BF16" in capabilities else ("fp32", "int8")
    embedders = {dtype: OpenVINOEmbedder(model, dtype=dtype, threads=1) for dtype in dtypes}
    lengths = [text.num_tokens for text in embedders["fp32"].prepare(texts, "document")]
    embeddings = [Embedding(embedder, 0) for embedder in embedders.values()]
    engines = [Engine(f"sentence-transformers, batch {batch}") for batch in PEER_BATCHES]
    engines += [Engine(dtype) for dtype in dtypes]
    with tempfile.TemporaryDirectory() as work:
        peer = Peer(options.peers_python, model, texts, Path(work))
        runs = [partial(peer.embed, batch) for batch in PEER_BATCHES]
        runs += [partial(ours, embedding, texts) for embedding in embeddings]
        for number in range(options.rounds + 1):
            for engine, run in zip(engines, runs, strict=True):
                spent, vectors = run()
                engine.vectors[:] = [vectors]
                if number:  # the first round warms up
                    engine.seconds.append(spent)
        peer.close()
    for embedding in embeddings:
        embedding.close()
    config = read_map(model.path / "config.json")
    top = limit()
    print(f"{model.card.name}; {len(texts)} texts, {sum(lengths)} tokens, median {median(lengths):.0f}")
    print(f"capabilities {', '.join(capabilities)}; fp32 limit {top / 1e9:.0f} GFLOP per cpu s")
    work_done = flops(layout_of(config), Checkpoint(model.path / model.card.weights), lengths)
    print(*compare(engines, work_done, top), sep="\n")


if __name__ == "__main__":
    main()
