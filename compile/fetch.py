"""``python -m compile.fetch``: how do the compiler and the simulator get onto this machine."""

from __future__ import annotations

from pathlib import Path

import click

from . import giving_way, wheel
from .failing import failing
from .tools import find, home


@click.command()
@click.option("--from", "archive", type=click.Path(path_type=Path), help="A tpu-mlir wheel that is here already.")
@failing
def main(archive: Path | None) -> None:
    """Get TPU-MLIR's compiler and the simulator of the BM1684X: 312 MB once, 290 MB on disk.

    The wheel is downloaded by pip with its hash, opened as an archive and never installed; so any Python will do.
    """
    if archive:
        home().parent.mkdir(parents=True, exist_ok=True)
        wheel.take(archive, home())
    elif not home().is_dir():
        with click.progressbar(length=wheel.WHEEL.num_bytes, label=str(wheel.WHEEL)) as bar:
            wheel.fetch(lambda done: bar.update(max(0, done - bar.pos)))
    tools = find()
    if not giving_way.build(tools):
        click.echo("there is no C compiler: the simulator will be slow, and nothing can be compiled", err=True)
    click.echo(f"TPU-MLIR is in {tools.root}")


if __name__ == "__main__":
    main()
