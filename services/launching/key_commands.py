"""The commands around keys: make one for somebody, see who has one, end one."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import cast, get_args

import click

from clients.allowed import Member, is_pattern
from clients.config import Config
from clients.errors import BadRequest
from clients.keys import Role
from services.launching.cli import Session
from services.launching.keyring import LOCAL, Keyring, limits


@click.group()
def keys() -> None:
    """Make, list and revoke the keys of a mesh with security."""


@keys.command("new")
@click.argument("name")
@click.option("--role", required=True, type=click.Choice(get_args(Role)), help="What its holder may be.")
@click.option(
    "--service", "services", multiple=True, metavar="S", help="Only this service: served by a worker, called by others."
)
@click.option(
    "--method", "methods", multiple=True, metavar="M", help="Only this method, such as index.search or llm.*."
)
@click.option("--serve-only", is_flag=True, help="A worker that calls no other service itself.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Where to write it; else the keys' folder."
)
@click.pass_obj
def new_key(
    session: Session,
    name: str,
    role: str,
    services: tuple[str, ...],
    methods: tuple[str, ...],
    serve_only: bool,
    out: Path | None,
) -> None:
    """Make a key for NAME and put it on the list of those who may come."""
    config = session.config()
    _check(config, role, services, methods, serve_only=serve_only)
    calls, serves = limits(cast("Role", role), services, methods)
    roles: list[Role] = ["worker"] if serve_only else LOCAL[role]
    path = Keyring(config.keys_folder).new(Member(name, "", roles, calls, serves), out)
    click.echo(f"wrote {path}, which only you may read")
    use = "worker" if role == "worker" else "client"
    if path == config.keys_folder / f"{use}.key" and not getattr(config.security, use):
        click.echo(f"the {use}s of this machine use it")
    else:
        click.echo(f"whoever has the file is '{name}': bring it over a safe way and set security.{use} to its path")
    if not config.security.enabled:
        click.echo("note: this mesh asks for keys only with 'security.enabled: true'", err=True)


def _check(config: Config, role: str, services: tuple[str, ...], methods: tuple[str, ...], *, serve_only: bool) -> None:
    """Refuse limits that name nothing, because a key with a typo opens less than was meant, or more."""
    for name in (*services, *(method.partition(".")[0] for method in methods if is_pattern(method))):
        config.service(name)
    for method in methods:
        if not is_pattern(method):
            raise BadRequest(f"'{method}' names no method", help="write service.method, such as index.search, or llm.*")
    if serve_only and (role != "worker" or methods):
        raise BadRequest(
            "--serve-only is for workers, which then call nothing", help="leave out --method, or take --role worker"
        )


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
@click.pass_obj
def list_keys(session: Session, as_json: bool) -> None:
    """Print who has a key, and for what."""
    members = Keyring(session.config().keys_folder).members()
    if as_json:
        click.echo(json.dumps([asdict(member) for member in members], ensure_ascii=False, indent=2))
        return
    width = max((len(member.name) for member in members), default=0)
    if members:
        click.echo(f"{'NAME':<{width}}  {'ROLES':<14}  OPENS")
    for member in members:
        click.echo(f"{member.name:<{width}}  {','.join(member.roles):<14}  {_limits(member)}".rstrip())
    if not members:
        click.echo("nobody has a key yet; 'ragq keys new NAME --role client' makes one", err=True)


def _limits(member: Member) -> str:
    if member.revoked:
        return f"revoked {member.revoked}"
    calls = f"calls {' '.join(member.calls)}" if member.calls else ""
    serves = f"serves {' '.join(member.serves)}" if member.serves else ""
    return "; ".join(filter(None, (serves, calls))) or "everything"


@keys.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
@click.pass_obj
def show_key(session: Session, name: str, as_json: bool) -> None:
    """Print what is public about the key of NAME."""
    member = Keyring(session.config().keys_folder).member(name)
    entry = asdict(member)
    if as_json:
        click.echo(json.dumps(entry, ensure_ascii=False, indent=2))
        return
    if "worker" not in member.roles:
        entry["serves"] = ""
    for key, value in entry.items():
        text = " ".join(value) or "everything" if isinstance(value, list) else value or "-"
        click.echo(f"{key:<8} {text}")


@keys.command("revoke")
@click.argument("name")
@click.pass_obj
def revoke_key(session: Session, name: str) -> None:
    """End the key of NAME, within a second also on connections that are open."""
    found = Keyring(session.config().keys_folder).revoke(name)
    click.echo(f"'{found.name}' may not come any more; revoked {found.revoked}")
