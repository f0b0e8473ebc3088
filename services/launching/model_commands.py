"""The commands around the model shelf: which models are here, get one, put one there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from rich.console import Console

from clients.config import Config
from services.launching.cli import Session
from services.launching.provision import announcement, pull, pullables
from services.models import PROFILES, PULLABLE, Card, ChatDtype, Pullable, Shelf, Shelved


@click.group()
def models() -> None:
    """See, get and add models."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
@click.pass_obj
def list_models(session: Session, as_json: bool) -> None:
    """Print the models of this machine, what uses them, and what can be pulled."""
    config = session.config()
    here = Shelf(config.home).list()
    absent = [model for model in PULLABLE if all(model.name != one.card.name for one in here)]
    if as_json:
        click.echo(json.dumps(_document(config, here, absent), ensure_ascii=False, indent=2))
        return
    for model in here:
        click.echo(f"{_line(model.card)}  {model.num_bytes / 1e6:6.0f} MB  {_use(config, model.card.name)}".rstrip())
    for candidate in absent:
        size = f"{candidate.sources[0].download_bytes / 1e6:6.0f} MB"
        click.echo(f"{_line(candidate.card)}  {size}  not here; {candidate.summary}")
    click.echo("\nragq models pull NAME gets one; profiles:")
    for name, members in PROFILES.items():
        click.echo(f"  {name:<16} {', '.join(members)}")


def _line(card: Card) -> str:
    return f"{card.name:<30} {','.join(card.roles):<16}"


def _use(config: Config, name: str) -> str:
    roles = [role for role in ("embed", "rerank", "generate") if getattr(config.llm, role).name == name]
    return f"used for {', '.join(roles)}" if roles else ""


def _document(config: Config, here: list[Shelved], absent: list[Pullable]) -> dict[str, object]:
    return {
        "models": [
            {
                "name": m.card.name,
                "kind": m.card.kind,
                "roles": m.card.roles,
                "bytes": m.num_bytes,
                "path": str(m.path),
                "use": _use(config, m.card.name),
            }
            for m in here
        ],
        "pullable": [{"name": m.name, "bytes": m.sources[0].download_bytes, "summary": m.summary} for m in absent],
        "profiles": PROFILES,
    }


@models.command("pull")
@click.argument("name")
@click.pass_obj
def pull_model(session: Session, name: str) -> None:
    """Get a model or a profile (embedded, embedded-light, better) by NAME."""
    shelf = Shelf(session.config().home)
    wanted = set(PROFILES.get(name, (name,)))
    lacking = [model for model in pullables(wanted) if not shelf.has(model.name)]
    for line in announcement(lacking, shelf) if lacking else ():
        click.echo(line)
    pull(shelf, name, Console(file=sys.stdout, highlight=False))
    click.echo(f"ready: {', '.join(sorted(wanted))}")


@models.command("add")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", default="", help="What to call it; its file name if none is given.")
@click.option("--link", is_flag=True, help="Point at the files instead of copying them.")
@click.option(
    "--dtype",
    type=click.Choice(["int8", "fp16", "none"]),
    default="int8",
    show_default=True,
    help="What a chat model in safetensors is written as for the processor; none writes nothing.",
)
@click.pass_obj
def add_model(session: Session, path: Path, name: str, link: bool, dtype: ChatDtype) -> None:
    """Put a model of your own on the shelf: a .gguf file, or a directory with safetensors."""
    card = Shelf(session.config().home).add(path, name, link=link, dtype=dtype)
    click.echo(f"added {card.name} ({', '.join(card.roles)})")
    for role in card.roles[:1]:
        click.echo(f"use it: llm.{role}.name: {card.name} in ragq.yml, or RAGQ_LLM__{role.upper()}__NAME={card.name}")
