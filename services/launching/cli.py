"""The commands that run or look after the services of this machine; a command's module is imported when it runs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import click

from clients.config import Config
from clients.errors import AlreadyExists, ConfigError, NotFound
from clients.settings import Loaded, config_schema, load, rows, show
from services.launching.home import Home

COMMANDS: dict[str, str] = {
    "worker": "services.launching.cli:worker",
    "store": "services.launching.cli:store",
    "models": "services.launching.model_commands:models",
    "keys": "services.launching.key_commands:keys",
    "doctor": "services.launching.cli:doctor",
    "config": "services.launching.cli:config",
    "init": "services.launching.cli:init",
    "down": "services.launching.cli:down",
    "restart": "services.launching.order_commands:restart",
    "drain": "services.launching.order_commands:drain",
    "logs": "services.launching.cli:logs",
    "trace": "services.launching.trace_command:trace",
}
STOP_S = 45.0
EXAMPLE = Path(__file__).parents[2] / "ragq.yml"
MARKS = {"ok": "ok    ", "note": "note  ", "blocks": "BLOCKS"}


class Session(Protocol):
    """The global options."""

    config_path: str
    data_dir: str

    def config(self) -> Config:
        """The configuration with the options applied."""
        ...


def loaded(session: Session) -> Loaded:
    """The configuration with its origins."""
    return load(session.config_path or None, flags={"data_dir": session.data_dir} if session.data_dir else {})


@click.command()
@click.argument("name")
@click.pass_obj
def worker(session: Session, name: str) -> None:
    """Run one worker of a service in the foreground, for systemd, containers or another host."""
    from services.worker import run

    raise SystemExit(run(session.config(), name))


@click.command()
@click.pass_obj
def store(session: Session) -> None:
    """Run the vector store's server in the foreground, for systemd or containers."""
    from services.index.vector_server import run

    config = session.config()
    if not config.index.runs_store:
        raise ConfigError(
            "this configuration has no server for the vectors to run here",
            help="index.store: chroma-server, and index.chroma_url empty",
        )
    raise SystemExit(run(config))


@click.command()
@click.argument("part", type=click.Choice(["sophon"]), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
@click.pass_obj
def doctor(session: Session, part: str | None, as_json: bool) -> None:
    """Look for what would keep a mesh from running, with the cure; exit code 1 when something does.

    With the word sophon, look only at what models on a SOPHON device need.
    """
    from services.launching import sophon
    from services.launching.doctor import examine

    config = session.config()
    findings = [] if part else examine(config)
    if part or sophon.is_wanted(config):
        findings += sophon.examine(config)
    blocks = any(finding.level == "blocks" for finding in findings)
    if as_json:
        click.echo(
            json.dumps({"ok": not blocks, "findings": [asdict(f) for f in findings]}, ensure_ascii=False, indent=2)
        )
    else:
        for finding in findings:
            click.echo(f"{MARKS[finding.level]}  {finding.what:<13} {finding.says}")
            if finding.cure:
                click.echo(f"{'':<22}-> {finding.cure}")
    raise SystemExit(int(blocks))


@click.group()
def config() -> None:
    """Show the configuration, or its schema."""


@config.command("show")
@click.option("--origin", is_flag=True, help="Tell where each value comes from.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
@click.pass_obj
def config_show(session: Session, origin: bool, as_json: bool) -> None:
    """Print every key with its value; secrets are masked."""
    found = loaded(session)
    for warning in found.warnings:
        click.echo(f"note: {warning}", err=True)
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows(found)], ensure_ascii=False, indent=2))
    else:
        click.echo(show(found, origin=origin))


@config.command("schema")
def config_schema_command() -> None:
    """Print the JSON schema of ragq.yml."""
    click.echo(json.dumps(config_schema(), ensure_ascii=False, indent=2))


@click.command()
@click.argument("path", default="ragq.yml", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def init(path: Path, force: bool) -> None:
    """Write a commented ragq.yml that says what the defaults say."""
    if path.exists() and not force:
        raise AlreadyExists(f"{path} is there already", help="--force replaces it; another PATH leaves it alone")
    try:
        path.write_text(example(), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}", help="its directory has to exist") from None
    click.echo(f"wrote {path}")


def example() -> str:
    """The commented ragq.yml that comes with the package."""
    if not EXAMPLE.is_file():
        raise NotFound("this installation lacks its example ragq.yml", help="install ragq again")
    return EXAMPLE.read_text(encoding="utf-8")


@click.command()
@click.pass_obj
def down(session: Session) -> None:
    """Stop the mesh of this data directory in good order."""
    home = Home(session.config().home)
    pid = home.stop_owner(STOP_S)
    click.echo(f"stopped pid {pid}" if pid else f"no mesh runs on {home.path}")


@click.command()
@click.argument("role", default="")
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on with new lines as they come.")
@click.option(
    "-n", "num_lines", default=50, show_default=True, type=click.IntRange(min=0), help="How many of the last lines."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, or with -f a line of JSON per record.")
@click.pass_obj
def logs(session: Session, role: str, follows: bool, num_lines: int, as_json: bool) -> None:
    """Print what the processes of this data directory said, all of them or one ROLE."""
    from services.processes import logs as journal

    paths = _logs(Home(session.config().home), role)
    found = journal.last(paths, num_lines)
    if as_json and not follows:
        click.echo(json.dumps([asdict(record) for record in found], ensure_ascii=False, indent=2))
        return
    for record in found:
        click.echo(record.line() if as_json else record.human())
    for record in journal.follow(paths) if follows else ():
        click.echo(record.line() if as_json else record.human())


def _logs(home: Home, role: str) -> list[Path]:
    from services.processes import logs as journal

    found = journal.files(home.logs, role)
    if not found:
        known = sorted(path.stem for path in journal.files(home.logs))
        hint = f"there are: {', '.join(known)}" if known else f"nothing has run on {home.path} yet"
        raise NotFound(f"no log{f' of {role!r}' if role else ''}", help=hint)
    return found
