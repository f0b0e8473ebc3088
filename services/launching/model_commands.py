"""The commands around the model shelf: which models are here, get one, put one there, exchange one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, get_args

import click
from rich.console import Console

from clients.config import Config
from clients.mesh import Ragq
from clients.models import RoleName
from services.launching.cli import Session
from services.launching.provision import announcement, megabytes, pull, pull_from_hub, pullables
from services.models import (
    HUB_MODELS,
    PROFILES,
    PULLABLE,
    Card,
    ChatDtype,
    HubReader,
    Pullable,
    Shelf,
    Shelved,
    look,
    needs,
)

ROLES: tuple[RoleName, ...] = get_args(RoleName)
chat_dtype = click.option(
    "--dtype",
    type=click.Choice(get_args(ChatDtype)),
    default="int8",
    show_default=True,
    help="What a chat model in safetensors is written as for the processor; none writes nothing.",
)
own_name = click.option("--name", default="", help="What to call it; its own name if none is given.")


@click.group()
def models() -> None:
    """See, get, add, exchange and remove models."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
@click.pass_obj
def list_models(session: Session, as_json: bool) -> None:
    """Print the models of this machine, what uses them, and what can be pulled.

    The memory is an estimate, for fp32 where the model can be computed in several.
    """
    config = session.config()
    here = Shelf(config.home).list()
    names = {one.card.name for one in here}
    absent = [model for model in PULLABLE if model.name not in names]
    if as_json:
        click.echo(json.dumps(_document(config, here, absent), ensure_ascii=False, indent=2))
        return
    for model in here:
        size = f"{megabytes(model.num_bytes):>8}  {megabytes(_memory(config, model)):>8} of memory"
        click.echo(f"{_line(model.card)}  {size}  {_use(config, model.card.name)}".rstrip())
    for candidate in absent:
        size = f"{megabytes(candidate.sources[0].download_bytes):>8}"
        click.echo(f"{_line(candidate.card)}  {size}  not here; {candidate.summary}")
    for offered in (model for model in HUB_MODELS if model.name not in names):
        click.echo(f"{offered.name:<53} {megabytes(offered.num_bytes):>8}  not here, on the hub; {offered.summary}")
    click.echo("\nragq models pull NAME gets one; profiles, for llm.profile in ragq.yml:")
    for name, members in PROFILES.items():
        click.echo(f"  {name:<16} {', '.join(members)}")


def _line(card: Card) -> str:
    return f"{card.name:<30} {card.kind:<8} {','.join(card.roles):<15}"


def _memory(config: Config, model: Shelved) -> int:
    role = next(iter(_roles(config, model.card.name)), model.card.roles[0])
    return needs(model, role).peak_bytes


def _roles(config: Config, name: str) -> list[RoleName]:
    return [role for role in ROLES if getattr(config.llm, role).name == name]


def _use(config: Config, name: str) -> str:
    roles = _roles(config, name)
    return f"used for {', '.join(roles)}" if roles else ""


def _document(config: Config, here: list[Shelved], absent: list[Pullable]) -> dict[str, object]:
    return {
        "models": [
            {
                "name": m.card.name,
                "kind": m.card.kind,
                "roles": m.card.roles,
                "bytes": m.num_bytes,
                "memory_bytes": _memory(config, m),
                "licence": m.card.licence,
                "source": m.card.source,
                "revision": m.card.revision,
                "path": str(m.path),
                "use": _use(config, m.card.name),
                "used_for": _roles(config, m.card.name),
            }
            for m in here
        ],
        "pullable": [{"name": m.name, "bytes": m.sources[0].download_bytes, "summary": m.summary} for m in absent],
        "hub": [{"name": m.name, "repository": m.repository, "licence": m.licence} for m in HUB_MODELS],
        "profiles": PROFILES,
    }


@models.command("pull")
@click.argument("wanted", metavar="NAME")
@own_name
@chat_dtype
@click.option("--source", default="", metavar="URL", help="A mirror of the hub, instead of HF_ENDPOINT.")
@click.option("--yes", is_flag=True, help="Do not ask before a large download.")
@click.pass_obj
def pull_model(session: Session, /, wanted: str, source: str, yes: bool, **how: Any) -> None:
    """Get a model, a profile (embedded, embedded-light, better, qwen3, bge), or OWNER/NAME[@REVISION] of the hub.

    A download that was cut or killed goes on where it was when the command is given again.
    """
    shelf = Shelf(session.config().home)
    members = PROFILES.get(wanted, (wanted,))
    repositories = {model.name: model.repository for model in HUB_MODELS}
    from_hub = [one for one in members if one in repositories or "/" in one]
    pinned = [one for one in members if one not in from_hub]
    lacking = [model for model in pullables(set(pinned)) if not shelf.has(model.name)]
    for line in announcement(lacking, shelf) if lacking else ():
        click.echo(line)
    console = Console(file=sys.stdout, highlight=False)
    for one in pinned:
        pull(shelf, one, console)
    for one in (one for one in from_hub if "/" in one or not shelf.has(one)):
        _from_hub(shelf, HubReader(source), repositories.get(one, one), console, yes=yes, **_named(one, how))
    click.echo(f"ready: {', '.join(sorted(members))}")


def _named(one: str, how: dict[str, Any]) -> dict[str, Any]:
    """The options for one model; a model that is known by name keeps it."""
    return how if "/" in one else how | {"name": one}


def _from_hub(
    shelf: Shelf, hub: HubReader, text: str, console: Console, *, yes: bool, name: str, dtype: ChatDtype
) -> None:
    offer = look(hub, text, name)
    shelf.check_free(offer.name, 2 * offer.num_bytes)
    licence = offer.listing.licence or "none stated"
    click.echo(f"{offer.listing.repository}: {megabytes(offer.num_bytes)}, licence {licence}, from {hub.address}")
    if not yes:
        click.confirm("Download it?", abort=True)
    card = pull_from_hub(shelf, hub, offer, console, dtype)
    click.echo(f"added {card.name} ({', '.join(card.roles)})")


@models.command("add")
@click.argument("path", type=click.Path(path_type=Path))
@own_name
@click.option("--link", is_flag=True, help="Point at the files instead of copying them.")
@chat_dtype
@click.pass_obj
def add_model(session: Session, path: Path, name: str, link: bool, dtype: ChatDtype) -> None:
    """Put a model of your own on the shelf: a .gguf file, or a directory with safetensors."""
    card = Shelf(session.config().home).add(path, name, link=link, dtype=dtype)
    click.echo(f"added {card.name} ({', '.join(card.roles)})")
    for role in card.roles[:1]:
        click.echo(f"use it: llm.{role}.name: {card.name} in ragq.yml, or RAGQ_LLM__{role.upper()}__NAME={card.name}")
        click.echo(f"or at once, in a mesh that runs: ragq models reload {role} {card.name}")


@models.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask, and remove it even if a role uses it.")
@click.pass_obj
def remove_model(session: Session, name: str, yes: bool) -> None:
    """Delete a model from the shelf."""
    config = session.config()
    shelf = Shelf(config.home)
    place = shelf.path(name)
    if not yes:
        use = _use(config, name)
        click.confirm(f"Delete {place}{f', {use}' if use else ''}?", abort=True)
    click.echo(f"removed {name}, {megabytes(shelf.remove(name))}")


@models.command("reload")
@click.argument("role", type=click.Choice(ROLES))
@click.argument("name", default="")
@click.option("--backend", default="", help="Its runtime; that of ragq.yml if none is given.")
@click.option("--dtype", default="", help="What it computes in; auto if none is given.")
@click.option("--device", default="", help="Where it computes.")
@click.option("--release-first", is_flag=True, help="Let go of the old model before, where memory holds only one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
@click.pass_obj
def reload_model(session: Session, /, role: RoleName, name: str, as_json: bool, **how: Any) -> None:
    """Put another model into a ROLE of the running mesh; without NAME the one of ragq.yml.

    Calls under way end on the old model, which goes only when the new one works.
    """
    with Ragq(session.config()) as mesh:
        done = mesh.llm.reload(role, name, **how)
    if as_json:
        shown = {"role": role, "name": done.model.name, "previous": done.previous, "took_s": done.took_s}
        click.echo(json.dumps(shown, ensure_ascii=False))
        return
    click.echo(f"{role}: {done.model.name}{_instead(done.previous)}, after {done.took_s:.1f} s")


def _instead(previous: str) -> str:
    return f" instead of {previous}" if previous else ""
