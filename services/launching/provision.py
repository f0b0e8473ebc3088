"""Are the models that the configuration names on this machine, and if not: get those that can be got."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar

from clients.config import Config, Model
from clients.errors import BadRequest, ModelNotLoaded
from services.models import (
    HUB_MODELS,
    PULLABLE,
    Card,
    ChatDtype,
    HubReader,
    Offer,
    OnProgress,
    Progress,
    Pullable,
    Shelf,
    pull_offer,
)

ON_DISK = frozenset({"openvino", "torch"})
NO_MODEL = frozenset({"", "none", "maxsim"})
PLAIN_STEP = 0.1


def wanted(config: Config) -> dict[str, Model]:
    """The models on disk that the LLM service needs, by role; a plug-in of another name brings its own."""
    if config.llm.module:
        return {}
    roles = {"embed": config.llm.embed, "rerank": config.llm.rerank, "generate": config.llm.generate}
    return {role: model for role, model in roles.items() if model.backend in ON_DISK and model.name not in NO_MODEL}


def missing(config: Config, shelf: Shelf) -> dict[str, str]:
    """Role to name of the models that are not there."""
    return {role: model.name for role, model in wanted(config).items() if not is_there(shelf, model.name)}


def is_there(shelf: Shelf, name: str) -> bool:
    """Whether the shelf, or the path that the name is, holds the model, be it whole or broken."""
    if os.sep in name:
        return Path(name).expanduser().exists()
    try:
        shelf.locate(name)
    except ModelNotLoaded:
        return False
    except BadRequest:  # whoever loads it says what is wrong with it
        return True
    return True


def provide(config: Config, say: Callable[[str], None], console: Console) -> None:
    """Get the models that are missing, with a bar and a line that says what and how much.

    Raises:
        ModelNotLoaded: one is missing and cannot be got; says why and what to do.
    """
    shelf = Shelf(config.home)
    lacking = missing(config, shelf)
    if not lacking:
        return
    for role, name in lacking.items():
        if all(name != model.name for model in PULLABLE):
            raise ModelNotLoaded(
                f"llm.{role}.name: the model '{name}' is neither on this machine nor one that comes by itself",
                help=_cure(role, name),
            )
    models = pullables(set(lacking.values()))
    for line in announcement(models, shelf):
        say(line)
    for role, name in lacking.items():
        try:
            pull(shelf, name, console)
        except ModelNotLoaded as error:
            raise ModelNotLoaded(error.message, help=f"{error.help}\n  {_without(role)}") from error


def pullables(names: set[str]) -> list[Pullable]:
    """What is known of models by name."""
    return [model for model in PULLABLE if model.name in names]


def announcement(models: list[Pullable], shelf: Shelf) -> list[str]:
    """What is going to be downloaded, how much, and where to."""
    total = sum(model.sources[0].download_bytes for model in models)
    lines = [
        f"Getting {len(models)} model{'s' if len(models) > 1 else ''}, {megabytes(total)}, once, into {shelf.directory}"
    ]
    return lines + [
        f"  {model.name}: {megabytes(model.sources[0].download_bytes)}, {model.summary} ({model.sources[0]})"
        for model in models
    ]


def megabytes(num_bytes: int) -> str:
    """A size as people read it."""
    return f"{num_bytes / 1e6:.0f} MB"


def _cure(role: str, name: str) -> str:
    if name in {model.name for model in HUB_MODELS}:
        return f"ragq models pull {name} gets it from the hub\n  {_without(role)}"
    known = ", ".join(model.name for model in PULLABLE)
    return f"known: {known}; 'ragq models add PATH' takes one of your own\n  {_without(role)}"


def _without(role: str) -> str:
    return f"or start without it: RAGQ_LLM__{role.upper()}__NAME=none ragq up"


def pull(shelf: Shelf, name: str, console: Console) -> None:
    """Get a model or a profile, with a bar on a terminal and a line now and then elsewhere."""
    with ExitStack() as stack:
        shelf.pull(name, _bar(stack, console) if console.is_terminal else _lines(console))


def pull_from_hub(shelf: Shelf, hub: HubReader, offer: Offer, console: Console, dtype: ChatDtype) -> Card:
    """Get a model of a hub, shown as ``pull`` shows it."""
    with ExitStack() as stack:
        show = _bar(stack, console) if console.is_terminal else _lines(console)
        return pull_offer(shelf, hub, offer, show, dtype=dtype)


def _bar(stack: ExitStack, console: Console) -> OnProgress:
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    bar = stack.enter_context(Bar(*columns, console=console))
    tasks: dict[str, TaskID] = {}

    def show(progress: Progress) -> None:
        if progress.name not in tasks:
            tasks[progress.name] = bar.add_task(progress.name, total=progress.bytes_total)
        stage = "" if progress.stage in ("download", "done") else f" ({progress.stage})"
        bar.update(tasks[progress.name], completed=progress.bytes_done, description=f"{progress.name}{stage}")

    return show


def _lines(console: Console) -> OnProgress:
    shown: dict[str, float] = {}

    def show(progress: Progress) -> None:
        share = 1.0 if progress.stage == "done" else progress.bytes_done / max(1, progress.bytes_total)
        if share >= shown.get(progress.name, 0.0) + PLAIN_STEP or (
            progress.stage == "done" and shown.get(progress.name, 0.0) < 1
        ):
            shown[progress.name] = share
            click.echo(f"  {progress.name}: {share:.0%} of {megabytes(progress.bytes_total)}", file=console.file)

    return show
