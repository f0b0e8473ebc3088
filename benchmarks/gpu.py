"""How near does the torch backend come to what a GPU can do?

    python benchmarks/gpu.py [--rehearse]

Needs the extra torch and a CUDA device; no network and no model. Models have the shape of Qwen3-0.6B and
BGE-M3 and random weights, and go the way of real ones: a checkpoint on disk, the backend's classes, the
engine of the service. Beside each figure stands the ceiling that was measured on the same device just
before: a large matrix product, or a copy of memory. Gates are those for an H200. A case that fails says
so, and the others go on. ``--rehearse`` runs all of it with tiny models on the processor; its figures
mean nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

try:
    import torch
except ImportError:
    sys.exit("benchmarks/gpu.py needs torch: pip install -c constraints.txt -e '.[torch]'")

from benchmarks import gpu_models  # noqa: E402
from clients.llm import Generate, Generation  # noqa: E402
from services.llm.backends.torch.device import Place  # noqa: E402
from services.llm.backends.torch.embedder import TorchEmbedder  # noqa: E402
from services.llm.backends.torch.generator import TorchGenerator  # noqa: E402
from services.llm.backends.torch.scorer import YesNoScorer  # noqa: E402
from services.llm.embedding import Embedding  # noqa: E402
from services.service import Call  # noqa: E402

TEXT_TOKENS = 150
NUM_DOCUMENTS = 20
# Floating-point operations of a token, attention within 150 tokens included.
QWEN3_GFLOP, BGE_M3_GFLOP = 0.90, 0.61
QWEN3_GBYTES = 1.19


@dataclass
class Bench:
    """What is measured on, and what has been measured."""

    place: Place
    qwen3: gpu_models.Shape
    bge_m3: gpu_models.Shape
    folder: Path
    num_texts: int
    answer_tokens: int
    times: int
    tflops: float = 0.0
    gbytes: float = 0.0
    began: float = field(default_factory=time.perf_counter)

    def row(self, what: str, figure: str, ceiling: str = "", gate: str = "") -> None:
        """Print a row of the table at once: the machine may be taken away."""
        print(f"| {what} | {figure} | {ceiling} | {gate} |", flush=True)

    def wait(self) -> None:
        """Until the device has done everything."""
        if self.place.is_cuda:
            torch.cuda.synchronize(self.place.device)

    def seconds(self, work: Callable[[], object], times: int = 0) -> float:
        """Median of several runs, after two to warm up."""
        found = []
        for number in range((times or self.times) + 2):
            self.wait()
            start = time.perf_counter()
            work()
            self.wait()
            if number > 1:
                found.append(time.perf_counter() - start)
        return statistics.median(found)


def ceilings(bench: Bench) -> None:
    """A large matrix product, and a copy."""
    size = 8192 if bench.place.is_cuda else 512
    one, other = (torch.randn(size, size, device=bench.place.device, dtype=bench.place.dtype) for _ in range(2))
    bench.tflops = 2 * size**3 / bench.seconds(lambda: one @ other) / 1e12
    source = torch.empty((4 << 30) if bench.place.is_cuda else 1 << 20, dtype=torch.uint8, device=bench.place.device)
    target = torch.empty_like(source)
    bench.gbytes = 2 * source.numel() / bench.seconds(lambda: target.copy_(source)) / 1e9
    bench.row(f"matrix product {size}", f"{bench.tflops:.1f} TFLOP/s")
    bench.row("copy, read and written", f"{bench.gbytes:.0f} GB/s")


def embed(bench: Bench, name: str, gflop: float, gate: str) -> None:
    """Tokens a second: one stream, two streams, and through the engine with its queue and cache."""
    folder = bench.folder / f"embed-{name}"
    if name == "Qwen3-0.6B":
        model = gpu_models.decoder(folder, bench.qwen3, is_embedder=True)
    else:
        model = gpu_models.encoder(folder, bench.bge_m3)
    embedder = TorchEmbedder(model, bench.place)
    per_batch = max(1, embedder.budget_tokens // TEXT_TOKENS)
    batches = [texts(per_batch, f"{name}{number}") for number in range(max(2, bench.num_texts // per_batch))]
    num_tokens = per_batch * TEXT_TOKENS
    ceiling = bench.tflops * 1000 / gflop

    def one_batch() -> object:
        return embedder.run(embedder.prepare(batches[0], "document"))

    prepared = embedder.prepare(batches[0], "document")
    forward, whole = bench.seconds(lambda: embedder.run(prepared)), bench.seconds(one_batch)
    _rate(bench, f"{name} embed, one stream, forward", num_tokens / forward, ceiling)
    _rate(bench, f"{name} embed, one stream, with tokenising", num_tokens / whole, ceiling)
    with ThreadPoolExecutor(2) as pool:
        every = bench.seconds(
            lambda: list(pool.map(lambda batch: embedder.run(embedder.prepare(batch, "document")), batches)), 3
        )
    _rate(bench, f"{name} embed, two streams", num_tokens * len(batches) / every, ceiling)
    engine = Embedding(embedder)
    start = time.perf_counter()
    engine.embed([text for batch in batches for text in batch], "document", call())
    taken = time.perf_counter() - start
    _rate(bench, f"{name} embed, engine in process", num_tokens * len(batches) / taken, ceiling, gate)
    engine.close()


def _rate(bench: Bench, what: str, tokens_per_s: float, ceiling: float, gate: str = "") -> None:
    share = f"{ceiling:,.0f} tok/s, {tokens_per_s / ceiling:.0%} of it"
    bench.row(what, f"{tokens_per_s:,.0f} tok/s", share, gate)


def rerank(bench: Bench) -> None:
    """Milliseconds for a query and 20 documents, the beginning new and known."""
    model = gpu_models.decoder(bench.folder / "rerank", bench.qwen3, is_embedder=False)
    scorer = YesNoScorer(model, bench.place)
    documents = texts(NUM_DOCUMENTS, "document")
    queries = iter(texts(1000, "query", 20))
    known = scorer.prepare([("w1 w2 w3 w4 w5", document) for document in documents])
    num_tokens = len(known[0].shared) + sum(pair.num_tokens for pair in known)
    ceiling = f"{num_tokens * QWEN3_GFLOP / bench.tflops:.1f} ms for {num_tokens} tokens"

    def fresh() -> object:
        query = next(queries)
        return scorer.run(scorer.prepare([(query, document) for document in documents]))

    new, old = bench.seconds(fresh), bench.seconds(lambda: scorer.run(known))
    bench.row("rerank 20 x 150, new query, with tokenising", f"{1e3 * new:.2f} ms", ceiling, "12, aim 7 ms")
    bench.row("rerank 20 x 150, known query, forward", f"{1e3 * old:.2f} ms", ceiling)
    scorer.close()


def decode(bench: Bench) -> None:
    """Milliseconds for a token, alone and eight at a time, without and with graphs."""
    model = gpu_models.decoder(bench.folder / "generate", bench.qwen3, is_embedder=False)
    for has_graphs in (False, True):
        generator = TorchGenerator(model, bench.place, max_tokens=1024, has_graphs=has_graphs)
        name = "decode, graphs" if has_graphs else "decode"
        _decode(bench, generator, name, "1.5, aim 0.8 ms with graphs" if has_graphs else "")
        generator.close()


def _decode(bench: Bench, generator: TorchGenerator, name: str, gate: str) -> None:
    least = QWEN3_GBYTES / bench.gbytes * 1e3
    written(bench, generator, 0)
    alone = written(bench, generator, 1).usage
    bench.row(f"{name}, one answer", f"{1e3 * alone.token_s:.3f} ms/token", f"{least:.2f} ms at the copy's speed", gate)
    bench.row(f"{name}, first token of 64", f"{1e3 * alone.first_token_s:.2f} ms")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: written(bench, generator, number), range(10, 18)))
        start = time.perf_counter()
        several = list(pool.map(lambda number: written(bench, generator, number), range(20, 28)))
    rate = sum(one.usage.completion_tokens for one in several) / (time.perf_counter() - start)
    bench.row(f"{name}, eight answers", f"{rate:,.0f} tok/s")


def written(bench: Bench, generator: TorchGenerator, number: int) -> Generation:
    """An answer to a prompt of 64 that nothing is remembered of."""
    stream = generator.generate(
        Generate(prompt=texts(1, f"prompt{number}", 63)[0], max_tokens=bench.answer_tokens), call()
    )
    while True:
        try:
            next(stream)
        except StopIteration as end:
            found: Generation = end.value
            return found


def texts(count: int, name: str, num_tokens: int = TEXT_TOKENS) -> list[str]:
    """Different texts of so many tokens, the end token included."""
    seed = sum(map(ord, name)) * 7919
    words = gpu_models.NUM_WORDS
    return [
        " ".join(f"w{(seed + row * 104729 + place * (row + 3)) % words}" for place in range(num_tokens - 1))
        for row in range(count)
    ]


def call() -> Call:
    return Call(time.monotonic() + 300)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The torch backend on a GPU.")
    parser.add_argument("--rehearse", action="store_true", help="tiny models on the processor; figures mean nothing")
    is_rehearsal = parser.parse_args(arguments).rehearse
    if not is_rehearsal and not torch.cuda.is_available():
        print("no CUDA device: these figures exist on a GPU only (--rehearse tries the script itself)")
        return 0
    with TemporaryDirectory(prefix="ragq-gpu-") as folder:
        if is_rehearsal:
            place = Place(torch.device("cpu"), torch.float32, 1)
            bench = Bench(place, gpu_models.TINY_QWEN3, gpu_models.TINY_BGE_M3, Path(folder), 8, 12, 2)
        else:
            place = Place(torch.device("cuda", 0), torch.bfloat16, 4)
            bench = Bench(place, gpu_models.QWEN3, gpu_models.BGE_M3, Path(folder), 2000, 200, 10)
            print(f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}, CUDA {torch.version.cuda}")
        return measure(bench)


def measure(bench: Bench) -> int:
    """All rows; the number of cases that failed."""
    print("| what | measured | ceiling | H200 gate |\n|---|---|---|---|")
    cases: list[tuple[str, Callable[[], None]]] = [
        ("ceilings", lambda: ceilings(bench)),
        ("decode", lambda: decode(bench)),
        ("Qwen3 embed", lambda: embed(bench, "Qwen3-0.6B", QWEN3_GFLOP, "300k, aim 480k tok/s")),
        ("rerank", lambda: rerank(bench)),
        ("BGE-M3 embed", lambda: embed(bench, "BGE-M3", BGE_M3_GFLOP, "450k, aim 700k tok/s")),
    ]
    num_failed = 0
    for name, case in cases:
        try:
            case()
        except Exception as error:  # noqa: BLE001 - ten minutes on a borrowed machine: the other rows still count
            num_failed += 1
            traceback.print_exc()
            bench.row(name, f"FAILED: {error!r}".replace("\n", " ")[:200])
    print(f"{time.perf_counter() - bench.began:.0f} s in all, {num_failed} failed")
    return num_failed


if __name__ == "__main__":
    sys.exit(main())
