"""``python -m compile.convert``: a checkpoint becomes a directory that a worker serves on a SOPHON device."""

from __future__ import annotations

import re
from pathlib import Path

import click

from clients.config import Config
from clients.errors import ConfigError
from services.models import Shelf
from services.models.bundle import BMODEL

from .build import Wish, build
from .compiler import MODES
from .decoder import Shape
from .failing import failing
from .installed import Installed
from .source import open_source
from .stages import Stages
from .tools import find

LENGTHS = ("128", "256", "512", "1024")
LENGTH = re.compile(r"(?:(\d+)x)?(\d+)")


@click.command()
@click.argument("model")
@click.option("--output", type=click.Path(path_type=Path), help="The new directory; default: below the models.")
@click.option("--task", type=click.Choice(["embed", "rerank", "chat", "next"]), help="Default: what the model is for.")
@click.option("--dtype", default="bf16", show_default=True, help=f"{', '.join(MODES)}.")
@click.option(
    "--tokens", "lengths", multiple=True, default=LENGTHS, show_default=True, metavar="[BATCHx]TOKENS",
    help="A length that texts are read at; 4x128 reads four at a time.",
)  # fmt: skip
@click.option("--blocks/--whole", default=None, help="Every layer a net of its own; default: above 2 GB.")
@click.option("--installed", is_flag=True, help="Call the model_deploy of a tpu-mlir on PATH.")
@click.option("--tools", type=click.Path(path_type=Path), help="An unpacked tpu-mlir; default: what was fetched.")
@failing
def main(
    model: str, output: Path | None, task: str | None, dtype: str, lengths: tuple[str, ...], blocks: bool | None,
    installed: bool, tools: Path | None,
) -> None:  # fmt: skip
    """Compile MODEL, a name on the shelf or a directory with safetensors, for the BM1684X."""
    shelf = Shelf(Config().home)
    source = open_source(shelf.locate(model), task or "")
    place = output or shelf.directory / f"{source.card.name}-{source.task}-bm1684x"
    wish = Wish(tuple(parse(length) for length in lengths), dtype, blocks)
    bundle = build(source, wish, Installed() if installed else Stages(find(tools)), place, click.echo)
    for net in bundle.nets:
        more = f", {net.more_ms:.2f} ms a further token" if net.more else ""
        click.echo(f"{net.batch} x {net.tokens} tokens: {net.latency_ms:.2f} ms a pass{more}")
    click.echo(f"{place}: {(place / BMODEL).stat().st_size / 1e6:.0f} MB")


def parse(length: str) -> Shape:
    """A length as it is given: ``512`` or ``4x128``.

    Raises:
        ConfigError: it is neither.
    """
    found = LENGTH.fullmatch(length)
    if not found or not int(found[2]) or found[1] == "0":
        raise ConfigError(f"'{length}' is no length", help="--tokens 512, or --tokens 4x128 for four texts at a time")
    return Shape(int(found[1] or 1), int(found[2]))


if __name__ == "__main__":
    main()
