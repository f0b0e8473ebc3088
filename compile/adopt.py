"""``python -m compile.adopt``: how is a bmodel of an older, per-block layout served as it is?"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import click

from clients.config import Config
from clients.errors import BadRequest
from services.llm.backends.sophon.device import Device
from services.llm.backends.sophon.options import Options
from services.llm.backends.sophon.port import Graph
from services.models import Shelf
from services.models.bundle import Bundle, Net

from .compiler import CHIP
from .failing import failing
from .source import Source, open_source
from .tools import find

BLOCK = re.compile(r"block_(\d+)")
DTYPES = {"bfloat16": "bf16", "float16": "f16"}


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--checkpoint", required=True, help="What it was compiled from: a name on the shelf, or a directory.")
@click.option("--task", type=click.Choice(["embed", "rerank"]), help="Default: what the checkpoint is for.")
@click.option("--device", type=int, help="Ask this device through SAIL; default: the simulator.")
@click.option("--tools", type=click.Path(path_type=Path), help="An unpacked tpu-mlir; default: what was fetched.")
@failing
def main(directory: Path, checkpoint: str, task: str | None, device: int | None, tools: Path | None) -> None:
    """Describe the bmodel in DIRECTORY, with graphs block_0, block_1 and so on, so that a worker can serve it.

    Writes ragq.json and model.json beside it, and copies the tokenizer of the checkpoint there.
    """
    options = Options(devices=[device]) if device is not None else _simulated(tools)
    source = open_source(Shelf(Config().home).locate(checkpoint), task or "")
    bmodel = one_bmodel(directory)
    (place,) = options.places(bmodel, Config().home)
    with closing(Device(place, options.timeout_s)) as opened:
        adopt(source, bmodel, opened.graphs)
    click.echo(f"{directory} can be served: backend: sophon, name: {directory}")


def one_bmodel(directory: Path) -> Path:
    """The bmodel of a directory.

    Raises:
        BadRequest: there is none, or there are several.
    """
    found = sorted(directory.glob("*.bmodel"))
    if len(found) != 1:
        raise BadRequest(
            f"{directory} holds {len(found)} files *.bmodel, not one", help="put each in its own directory"
        )
    return found[0]


def adopt(source: Source, bmodel: Path, graphs: Mapping[str, Graph]) -> Bundle:
    """Write what describes a bmodel of blocks.

    Args:
        source: the checkpoint that it was compiled from.
        bmodel: its file; the description is written beside it.
        graphs: that are in it.

    Raises:
        BadRequest: it has no blocks, or not as many as the checkpoint has layers.
    """
    numbers = sorted(int(match[1]) for name in graphs if (match := BLOCK.fullmatch(name)))
    if numbers != list(range(source.causal.layers)):
        raise BadRequest(
            f"{bmodel} has {len(numbers)} graphs block_N, and the checkpoint has {source.causal.layers} layers",
            help="python -m compile.convert compiles the checkpoint anew",
        )
    steps = tuple(f"block_{number}" for number in numbers)
    states = graphs[steps[0]].inputs[0]
    with bmodel.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    bundle = Bundle(
        source.task, (Net(steps, 1, states.shape[1]),), states.shape[2], source.vocabulary, CHIP,
        DTYPES.get(states.dtype, states.dtype), source.answers, source.prompt, sha256, tool="unknown",
        file=bmodel.name, layout="blocks",
    )  # fmt: skip
    source.settle(bmodel.parent, states.shape[1], sha256[:16], bmodel.name)
    bundle.write(bmodel.parent)
    return bundle


def _simulated(tools: Path | None) -> Options:
    return Options(driver="simulator", libraries=str(find(tools).libraries))
