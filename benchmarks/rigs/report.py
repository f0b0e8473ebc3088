"""How a run becomes Markdown: every target with its verdict, and every case with its figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median

from benchmarks.rigs.rig import Sample
from benchmarks.rigs.rounds import Figure, Rounds
from benchmarks.rigs.stage import FASTAPI, FASTAPI_JSON, GRPC, GRPC_AIO, OURS, OURS_RAW, ZERORPC, C
from benchmarks.rigs.targets import TARGETS, Result, Target

MAX_SPREAD = 2.0
RAW_CASES = {
    "T1": "100 B, 64 in flight", "T2a": "10 KB, 64 in flight", "T2b": "128 KB, 64 in flight",
    "T2c": "1 MiB, 8 in flight", "T3": "100 B, 1 in flight",
}  # fmt: skip
OTHERS = (GRPC, GRPC_AIO, ZERORPC, FASTAPI, FASTAPI_JSON)
RIVALS = {
    "T5": ("echo 100 B", (GRPC,)), "T6": ("embeddings", (GRPC, GRPC_AIO)), "T7": ("stream of 200", (GRPC, GRPC_AIO)),
    "T8a": ("echo 100 B", (ZERORPC,)), "T8b": ("stream of 200", (ZERORPC,)), "T9": ("64 tasks, 100 B", (GRPC_AIO,)),
}  # fmt: skip


def took(sample: Sample) -> float:
    """Time for a call."""
    return sample.time_us


def spent(sample: Sample) -> float:
    """Processor time of every process for a call."""
    return sample.cpu_us()


def spent_in_proxy(sample: Sample) -> float:
    """Processor time of the proxy for a call."""
    return sample.cpu_us("proxy")


def compared(rounds: Rounds) -> Iterator[Result]:
    """The targets that compare calls."""
    for name, case in RAW_CASES.items():
        time, processor = (rounds.ratio(OURS_RAW, C, case, figure) for figure in (took, spent_in_proxy))
        yield Result(name, time, processor)
    slower = rounds.ratio(C, OURS_RAW, RAW_CASES["T1"], took)
    yield Result("T4", slower)
    for name, (case, rivals) in RIVALS.items():
        yield Result(name, *(_least(rounds, rivals, case, figure) for figure in (took, spent)))


def _least(rounds: Rounds, rivals: tuple[str, ...], case: str, figure: Figure) -> float | None:
    found = [ratio for rival in rivals if (ratio := rounds.ratio(rival, OURS, case, figure)) is not None]
    return min(found, default=None)


def spreads(rounds: Rounds) -> dict[str, float]:
    """How much the C proxy's own figures vary, by what decides."""
    cases = (RAW_CASES["T1"], RAW_CASES["T3"])
    return {"time": rounds.spread(C, cases, took), "processor": rounds.spread(C, cases, spent_in_proxy)}


def judged(results: Mapping[str, Result], spread: Mapping[str, float]) -> Iterator[tuple[Target, Result, str]]:
    """Each target with what was found and the verdict."""
    for target in TARGETS:
        result = results.get(target.name, Result(target.name))
        figure = result.time if target.by == "time" else result.processor
        if figure is None:
            yield target, result, "not measured"
        elif target.unit == "x" and spread[target.by] > MAX_SPREAD:
            yield target, result, f"not judged; it would be {target.verdict(figure)}"
        else:
            yield target, result, target.verdict(figure)


def target_table(results: Mapping[str, Result], spread: Mapping[str, float]) -> Iterator[str]:
    """Every target, one line each."""
    yield "| | target | gate | stretch | time | CPU | verdict |"
    yield "|---|---|---|---|---|---|---|"
    for target, result, verdict in judged(results, spread):
        figures = ("-" if figure is None else target.told(figure) for figure in (result.time, result.processor))
        yield f"| {' | '.join((target.name, target.what, *target.bounds, *figures, verdict))} |"
    yield ""
    told = ", ".join(f"{name} {value:.2f}x" for name, value in spread.items())
    yield f"The C proxy's own figures varied over the rounds: {told}; above {MAX_SPREAD:g}x nothing is judged by them."


def raw_table(rounds: Rounds) -> Iterator[str]:
    """The two proxies under the same load."""
    yield "| proxy alone | C: µs, CPU µs | ragq: µs, CPU µs | ÷ C: time, CPU |"
    yield "|---|---|---|---|"
    for case in RAW_CASES.values():
        cells = [_cell(rounds, rig, case, spent_in_proxy) for rig in (C, OURS_RAW)]
        ratios = [rounds.ratio(OURS_RAW, C, case, figure) or 0.0 for figure in (took, spent_in_proxy)]
        yield f"| {case} | {' | '.join(cells)} | {ratios[0]:.2f}, {ratios[1]:.2f} |"


def full_table(rounds: Rounds) -> Iterator[str]:
    """Whole stacks: ragq's figures, and the others' divided by them."""
    rivals = [rival for rival in OTHERS if rounds.has(rival, "echo 100 B")]
    heads = ["whole stack", "ragq: µs, CPU µs (client, proxy, worker)", *(f"{r} ÷ ragq: time, CPU" for r in rivals)]
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for rig, case in sorted(rounds.samples):
        if rig == OURS:
            parts = (lambda s: s.cpu_us("client")), spent_in_proxy, (lambda s: s.cpu_us("worker"))
            split = ", ".join(f"{median(rounds.figures(OURS, case, part)):.0f}" for part in parts)
            cells = [_ratios(rounds, rival, case) for rival in rivals]
            yield f"| {case} | {_cell(rounds, OURS, case, spent)} ({split}) | {' | '.join(cells)} |"


def _cell(rounds: Rounds, rig: str, case: str, cpu: Figure) -> str:
    return ", ".join(f"{median(rounds.figures(rig, case, figure)):.0f}" for figure in (took, cpu))


def _ratios(rounds: Rounds, rival: str, case: str) -> str:
    found = [rounds.ratio(rival, OURS, case, figure) for figure in (took, spent)]
    return ", ".join("-" if ratio is None else f"{ratio:.2f}" for ratio in found)
