"""How a run becomes Markdown: the promises with their verdicts, and every server's figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks.rigs.rig import Sample
from benchmarks.rigs.rounds import Figure, Rounds
from benchmarks.rigs.targets import Target
from benchmarks.serving.servers import CALLS, DIRECT, FASTAPI, INFINITY, LITSERVE, MOSEC, OURS, OURS_HTTP

NAMES = (OURS, OURS_HTTP, DIRECT, INFINITY, FASTAPI, LITSERVE, MOSEC)
CASES = [f"{mix} {callers}" for mix in ("documents", "queries") for callers in CALLS]
# How many times sentence-transformers' speed the engine alone has, by dtype: what a server can gain is bound by it.
ENGINE = {"fp32": 2.3, "bf16": 4.15, "int8": 5.7}


@dataclass(frozen=True, slots=True)
class Row:
    """A promise: a peer's figure by ours in a case."""

    target: Target
    peer: str
    case: str
    figure: Figure


def spent(sample: Sample) -> float:
    """Processor time of the whole server for a request, in ms."""
    return sample.cpu_us() / 1e3


def p50(sample: Sample) -> float:
    """Median time of a request, in ms."""
    return sample.done["p50_ms"]


def p99(sample: Sample) -> float:
    """What one request in a hundred takes longer than, in ms."""
    return sample.done["p99_ms"]


def scale_of(dtype: str) -> float:
    """How many times bf16's speed the engine has in a dtype."""
    return ENGINE[dtype] / ENGINE["bf16"]


def rows(dtype: str) -> list[Row]:
    """The promises. They are made for bf16; in another dtype they are as much lower or higher as the engine is."""
    scale = scale_of(dtype)

    def row(what: str, gate: float, stretch: float, peer: str, case: str, figure: Figure = spent) -> Row:
        return Row(Target(what, what, gate * scale, stretch * scale, more_is_better=True), peer, case, figure)

    served = Target("served ÷ in process, documents, 32 callers", "", 0.8, 0.93, more_is_better=True)
    return [
        Row(served, DIRECT, "documents 32", spent),
        row("CPU, infinity ÷ ragq, documents, 32 callers", 3.0, 4.5, INFINITY, "documents 32"),
        row("CPU, infinity ÷ ragq, queries, 32 callers", 2.0, 3.0, INFINITY, "queries 32"),
        row("CPU, FastAPI + ST ÷ ragq, documents, 1 caller", 2.0, 2.4, FASTAPI, "documents 1"),
        row("CPU, FastAPI + ST ÷ ragq, documents, 32 callers", 2.0, 2.8, FASTAPI, "documents 32"),
        row("CPU, LitServe ÷ ragq, documents, 32 callers", 4.0, 6.0, LITSERVE, "documents 32"),
        row("CPU, mosec ÷ ragq, documents, 32 callers", 4.0, 6.0, MOSEC, "documents 32"),
        row("p50, infinity ÷ ragq, documents, 32 callers", 3.0, 4.5, INFINITY, "documents 32", p50),
        row("p99, infinity ÷ ragq, documents, 32 callers", 2.0, 3.0, INFINITY, "documents 32", p99),
    ]


def judged(rounds: Rounds, dtype: str) -> Iterator[tuple[Target, float | None, str]]:
    """Each promise, the median of the rounds' ratios, and whether it is kept."""
    for row in rows(dtype):
        ratio = rounds.ratio(row.peer, OURS, row.case, row.figure)
        yield row.target, ratio, "not measured" if ratio is None else row.target.verdict(ratio)


def promises(rounds: Rounds, dtype: str) -> Iterator[str]:
    """Every promise with its verdict."""
    yield "| target | gate | stretch | found | verdict |"
    yield "|---|---|---|---|---|"
    for target, ratio, verdict in judged(rounds, dtype):
        gate, stretch = target.bounds
        yield f"| {target.name} | {gate} | {stretch} | {'-' if ratio is None else target.told(ratio)} | {verdict} |"


def figures(rounds: Rounds) -> Iterator[str]:
    """Every server in every case: medians over the rounds."""
    yield f"| CPU-ms per request (requests per second, p50 ms, p99 ms) | {' | '.join(CASES)} |"
    yield f"|---{'|---' * len(CASES)}|"
    for name in NAMES:
        if rounds.has(name, CASES[0]):
            yield f"| {name} | {' | '.join(_cell(rounds, name, case) for case in CASES)} |"


def _cell(rounds: Rounds, name: str, case: str) -> str:
    cpu, rate, half, most = (
        median(rounds.figures(name, case, figure)) for figure in (spent, lambda sample: 1e6 / sample.time_us, p50, p99)
    )
    return f"{cpu:.1f} ({rate:.0f}, {half:.0f}, {most:.0f})" if name != DIRECT else f"{cpu:.1f}"
