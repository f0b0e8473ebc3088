"""``python -m compile.verify``: does a compiled model give what its checkpoint gives?"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np

from clients.config import Config
from services.llm.backends.sophon.options import Options
from services.llm.backends.sophon.passes import Passes
from services.llm.backends.sophon.recall import Recalls
from services.models import Shelf
from services.models.bundle import Bundle, Net, read_bundle
from services.service import Call

from .failing import FAILED, failing
from .reference import Reference, reference
from .source import open_source
from .tools import find

LEAST_COSINE = 0.999
MOST_SHARE = 0.02
# Of a chat model: tokens of the short text, and how many a text grows by.
SHORT, NUM_MORE = 2, 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far a net is from the checkpoint.

    Attributes:
        cosine: the lowest; 1 for a reranker, which has two numbers.
        error: the largest difference: of a vector of length 1, or of the share of yes.
    """

    net: Net
    cosine: float
    error: float

    def passes(self, task: str) -> bool:
        """Whether that is near enough."""
        return self.error <= MOST_SHARE if task == "rerank" else self.cosine >= LEAST_COSINE


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--checkpoint", required=True, help="A name on the shelf, or a directory.")
@click.option("--tokens", type=int, multiple=True, help="Only these lengths; default: all.")
@click.option("--device", type=int, help="Run it on this device through SAIL; default: in the simulator.")
@click.option("--tools", type=click.Path(path_type=Path), help="An unpacked tpu-mlir; default: what was fetched.")
@failing
def main(bundle: Path, checkpoint: str, tokens: tuple[int, ...], device: int | None, tools: Path | None) -> None:
    """Run every net of BUNDLE and the checkpoint in fp32, and compare; exit code 1 when they differ too much."""
    described = read_bundle(bundle)
    model = Shelf(Config().home).locate(checkpoint)
    source = open_source(model, described.task)
    exact = reference(source, replace(model, card=replace(model.card, roles=source.card.roles)))
    options = Options(driver="sail", devices=[device]) if device is not None else _simulated(tools)
    bad = 0
    for verdict in verify(described, bundle, options, exact, tokens):
        is_good = verdict.passes(described.task)
        bad += not is_good
        click.echo(_line(verdict, described.task, is_good=is_good))
    sys.exit(FAILED if bad else 0)


def verify(
    bundle: Bundle, directory: Path, options: Options, exact: Reference, tokens: tuple[int, ...] = ()
) -> Iterator[Verdict]:
    """A verdict for each net, over texts of random words: one that fills it and others that do not.

    Args:
        bundle: what was compiled.
        directory: of the bundle.
        options: where it runs.
        exact: what it should give.
        tokens: only nets of these lengths; empty: all.

    Raises:
        BackendError: the device, or the simulator, failed.
    """
    nets = [net for net in bundle.nets if not tokens or net.tokens in tokens]
    run = _recalled if bundle.task == "chat" else _read
    for net in nets:
        texts, found = run(replace(bundle, nets=(net,)), directory / bundle.file, options)
        yield _compare(net, bundle.task, found, [exact(text) for text in texts])


def _simulated(tools: Path | None) -> Options:
    return Options(driver="simulator", libraries=str(find(tools).libraries), timeout_s=7200)


def _read(alone: Bundle, bmodel: Path, options: Options) -> tuple[list[np.ndarray], np.ndarray]:
    """Texts, and what the one net of a bundle gives for each."""
    texts = _texts(alone.nets[0], alone.vocabulary)
    with closing(Passes(alone, bmodel, options, Path(tempfile.gettempdir()))) as passes:
        return texts, passes.outputs(texts)


def _recalled(alone: Bundle, bmodel: Path, options: Options) -> tuple[list[np.ndarray], np.ndarray]:
    """Texts that grow by a token, and the logits behind each: of a short one, and of one until the net is full."""
    tokens = alone.nets[0].tokens
    whole = np.random.default_rng(tokens).integers(0, alone.vocabulary, tokens, dtype=np.int32)
    texts, found = [], []
    with closing(Recalls(alone, bmodel, options, Path(tempfile.gettempdir()))) as recalls:
        for begun in (SHORT, tokens - NUM_MORE):
            with recalls.lent(Call(time.monotonic() + options.timeout_s)) as recall:
                found += [recall.read(whole[:begun].tolist())]
                found += [recall.expand([0], [int(token)])[0] for token in whole[begun : begun + NUM_MORE]]
            texts += [whole[:end] for end in range(begun, begun + NUM_MORE + 1)]
    return texts, np.stack(found)


def _texts(net: Net, vocabulary: int) -> list[np.ndarray]:
    """One for each row, the first as long as the net and each further one a little shorter."""
    rng = np.random.default_rng(net.tokens)
    lengths = [max(2, net.tokens - 3 * row) for row in range(max(2, net.batch))][: net.batch if net.batch > 1 else 2]
    return [rng.integers(0, vocabulary, length, dtype=np.int32) for length in lengths]


def _compare(net: Net, task: str, found: np.ndarray, wanted: list[np.ndarray]) -> Verdict:
    if task == "rerank":
        shares = 1 / (1 + np.exp(found[:, 0] - found[:, 1])), 1 / (1 + np.exp(-np.concatenate(wanted)))
        return Verdict(net, 1.0, float(np.abs(shares[0] - shares[1]).max()))
    ours = found / np.linalg.norm(found, axis=1, keepdims=True)
    theirs = np.stack(wanted) / np.linalg.norm(np.stack(wanted), axis=1, keepdims=True)
    return Verdict(net, float((ours * theirs).sum(axis=1).min()), float(np.abs(ours - theirs).max()))


def _line(verdict: Verdict, task: str, *, is_good: bool) -> str:
    net = verdict.net
    what = f"share of yes off by {verdict.error:.4f}" if task == "rerank" else (
        f"cosine {verdict.cosine:.6f}, largest difference {verdict.error:.5f}"
    )  # fmt: skip
    more = f" and {net.more_ms:.1f} ms a further token" if net.more_ms else ""
    estimate = f", {net.latency_ms:.1f} ms{more} by the compiler's model" if net.latency_ms else ""
    return f"{'ok ' if is_good else 'BAD'}  {net.batch} x {net.tokens} tokens: {what}{estimate}"


if __name__ == "__main__":
    main()
