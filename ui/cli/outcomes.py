"""What does a terminal show of runs over a saved test set?"""

from __future__ import annotations

from collections.abc import Sequence

import click

from clients.testsets import Run

from . import show
from .saved import Comparison, Outcome

SHOWN = ("ndcg_at_10", "mrr_at_10", "abstention_precision", "abstention_recall")


def print_outcome(outcome: Outcome) -> None:
    """Print the figures, next to the last run's, and what was left out."""
    run, before = outcome.run, outcome.before
    click.echo(
        f"{run.testset} on {outcome.collection}: {run.num_questions} questions, {outcome.num_abstain} of them to be "
        f"refused, {run.way}"
    )
    rows = [
        (name, f"{f.value:.4f}", f"{f.low:.4f} to {f.high:.4f}", _earlier(name, before))
        for name, f in run.figures.items()
    ]
    show.table(("FIGURE", "VALUE", "95 % INTERVAL", "LAST RUN"), rows)
    if outcome.compared:
        print_comparison(outcome.compared)
    if outcome.missing:
        names = ", ".join(sorted({one.document for one in outcome.missing})[:5])
        show.note(f"{len(outcome.missing)} passages that answer questions are not in {outcome.collection}: {names}")
    if outcome.unjudged:
        show.note(f"{outcome.unjudged} questions say neither what answers them nor that nothing does: left out")


def _earlier(name: str, before: Run | None) -> str:
    known = before.figures.get(name) if before else None
    return f"{known.value:.4f}" if known else "-"


def print_comparison(other: Comparison) -> None:
    """Print what another way changes."""
    click.echo(f"{other.way} instead, p {other.p:.3f} for ndcg_at_10")
    rows = [(name, f"{g.value:+.4f}", f"{g.low:+.4f} to {g.high:+.4f}") for name, g in other.gains.items()]
    show.table(("FIGURE", "DIFFERENCE", "95 % INTERVAL"), rows)


def print_runs(runs: Sequence[Run]) -> None:
    """Print runs, newest first, a line each."""
    rows = []
    for run in runs:
        told = [f"{run.figures[name].value:.3f}" if name in run.figures else "-" for name in SHOWN]
        rows.append((show.moment(run.created_at), run.version, run.way, run.digest, run.num_questions, *told))
    show.table(("WHEN", "VERSION", "WAY", "STATE", "QUESTIONS", "NDCG@10", "MRR@10", "ABSTAIN-P", "ABSTAIN-R"), rows)
