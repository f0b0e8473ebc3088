"""Do the records, the vectors and the keyword index of the Index service agree?"""

from __future__ import annotations

import click

from clients.checkup import Checked, Checking, Finding, Remaking

from . import show
from .options import json_option
from .session import Session

TIMEOUT_S = 24 * 3600.0


@click.command()
@click.option("-c", "--collection", default="", metavar="NAME", help="Only this collection; all of them otherwise.")
@click.option("--probe", is_flag=True, help="Read back and look for every single vector, and read every original.")
@click.option("--repair", is_flag=True, help="Mend what can be mended from the records.")
@json_option
@click.pass_obj
def fsck(session: Session, collection: str, probe: bool, repair: bool, as_json: bool) -> None:
    """Check that records, vectors, keyword index and originals agree; exit 1 when they do not."""
    with session.mesh() as mesh:
        checked = mesh.index.check(collection, probe=probe, repair=repair, on_progress=_Shown(), timeout_s=TIMEOUT_S)
    if as_json:
        show.document(checked)
    else:
        _print(checked)
    if any(not finding.is_mended for finding in checked.findings):
        raise SystemExit(1)


class _Shown:
    """Says each stage once."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, stage: Checking) -> None:
        line = " ".join(part for part in (stage.stage, stage.collection) if part)
        if line != self._last:
            show.note(line)
        self._last = line


def _print(checked: Checked) -> None:
    for running in checked.reindexes:
        click.echo(_progress(running))
    for finding in checked.findings:
        click.echo(_line(finding))
        click.echo(f"    {', '.join(finding.examples)}{' …' if finding.count > len(finding.examples) else ''}")
        if finding.fix:
            click.echo(f"    {finding.fix}")
    counted = {"collection": checked.num_collections, "document": checked.num_documents, "chunk": checked.num_chunks}
    seen = ", ".join(f"{number} {noun}{'' if number == 1 else 's'}" for noun, number in counted.items())
    probed = f", {checked.num_probed} vectors looked for" if checked.num_probed else ""
    click.echo(f"{seen}{probed}: {'everything agrees' if not checked.findings else _outcome(checked)}")


def _progress(running: Remaking) -> str:
    return (
        f"{running.collection}: being re-indexed by {running.model}: {running.num_recorded} of {running.num_wanted} "
        f"contents embedded, {running.num_stored} in the store; job {running.job_id}"
    )


def _line(finding: Finding) -> str:
    place = f"{finding.collection}: " if finding.collection else ""
    return f"{place}{finding.message} ({finding.count}){', mended' if finding.is_mended else ''}"


def _outcome(checked: Checked) -> str:
    left = sum(not finding.is_mended for finding in checked.findings)
    return f"{left} of {len(checked.findings)} faults left" if left else "every fault is mended"
