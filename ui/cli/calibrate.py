"""From which confidence on may a collection's questions be answered?"""

from __future__ import annotations

from pathlib import Path

import click

from clients.calibration import Calibration, scorers_of
from clients.errors import BadRequest
from clients.evaluation import read_labelled
from clients.fitting import calibrate as fitted
from clients.fitting import read_mix, read_target
from clients.mesh import Ragq

from . import show
from .controls import Asked, asked, cases, foreign_to, made
from .options import collection_option, json_option
from .session import Session

TIMEOUT_S = 120.0
WORDS = {
    "auroc_easy": "AUROC, questions of another collection",
    "auroc_hard": "AUROC, the same questions without their documents",
    "ece_before": "calibration error before",
    "ece_after": "calibration error after",
    "brier_before": "Brier score before",
    "brier_after": "Brier score after",
    "precision": "precision of the answers",
    "coverage": "answerable questions that are answered",
    "coverage_all": "all questions that are answered",
    "abstention_precision": "precision of abstaining",
    "abstention_recall": "recall of abstaining",
}


@click.command()
@collection_option
@click.option(
    "--test-set",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Questions with their documents: JSONL, or BEIR.",
)
@click.option("--foreign", type=click.Path(path_type=Path), metavar="PATH", help="Questions about something else.")
@click.option(
    "--target", default="precision=0.95", show_default=True, metavar="WHAT",
    help="Or cost=5:1:0.2; none goes back to the defaults.",
)  # fmt: skip
@click.option(
    "--mix", default="70:10:20", show_default=True, metavar="SHARES",
    help="Expected questions: answerable, nearly answerable, about something else.",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N questions of each file.")
@json_option
@click.pass_obj
def calibrate(
    session: Session,
    collection: str,
    test_set: Path | None,
    foreign: Path | None,
    target: str,
    mix: str,
    limit: int | None,
    as_json: bool,
) -> None:
    """Fit the decision to answer to a collection and the models that are loaded.

    Every question of the test set is asked twice, once as if its documents were missing; questions about something
    else come from --foreign, from lines without documents, or from other collections. One half fits a curve and
    two thresholds; the figures, with 95 % intervals, are of the other half. Without a test set, questions are made of
    the collection's own chunks, which is weaker evidence. The result is kept with the collection, and holds for these
    models only.
    """
    if target == "none":
        with session.mesh(TIMEOUT_S) as mesh:
            mesh.index.forget_calibration(collection)
        show.note(f"{collection} is decided on by the defaults again")
        return
    aim, shares = read_target(target), read_mix(mix)
    with session.mesh(TIMEOUT_S) as mesh:
        questions = _questions(mesh, collection, test_set, limit)
        others = [one.question for one in read_labelled(foreign)][:limit] if foreign else foreign_to(mesh, collection)
        if not others and all(one.gold for one in questions):
            show.note("no questions about something else: give --foreign; the easy control is left out")
        maker = next((c.model for c in mesh.index.collections() if c.name == collection), "")
        scorers = scorers_of(mesh.llm.models(), mesh.config.ask.top_k, maker)
        found = cases(mesh, collection, questions, others)
        result = fitted(collection, scorers, found, aim, "labelled" if test_set else "synthetic", shares)
        mesh.index.set_calibration(result)
    if as_json:
        show.document(result)
    else:
        _print(result)


def _questions(mesh: Ragq, collection: str, test_set: Path | None, limit: int | None) -> list[Asked]:
    if test_set:
        return asked(mesh, collection, read_labelled(test_set)[:limit])
    questions = made(mesh, collection, limit) if limit else made(mesh, collection)
    if not questions:
        raise BadRequest(
            f"no questions can be made of the chunks of {collection}", help="give a test set: --test-set FILE"
        )
    return questions


def _print(result: Calibration) -> None:
    quality = result.quality
    platt = f"Platt, {result.slope:.3f} x + {result.intercept:.3f}"
    curve = f"isotonic, {len(result.knots)} points" if result.knots else platt
    click.echo(f"{result.collection}: {result.scorers}")
    click.echo(f"t_low {result.t_low:.3f}, t_high {result.t_high:.3f} for {result.target} ({curve})")
    click.echo(
        f"held out: {quality.num_answerable} answerable, {quality.num_hard} without their documents, "
        f"{quality.num_easy} of another collection"
    )
    rows = [
        (WORDS[name], f"{figure.value:.3f}", f"{figure.low:.3f} to {figure.high:.3f}")
        for name, figure in quality.figures.items()
    ]
    show.table(("FIGURE", "VALUE", "95 % INTERVAL"), rows)
    if not result.is_reached:
        show.note(f"{result.target} cannot be reached with these models; t_high is the best there is: many are refused")
    if result.source == "synthetic":
        show.note("the questions were made of the collection's own chunks: weaker than a test set of real questions")
