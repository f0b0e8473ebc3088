"""The launcher: which commands are there, and which processes are a mesh.

``python service.py`` is ``ragq up``. A command's module is imported when the command runs, so
that one which needs little starts at once.
"""

from __future__ import annotations

import os
import runpy
import sys
import traceback
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.launching.commands import Commands, global_options, tables
from ui.cli.session import Session

if TYPE_CHECKING:
    from clients.config import Config
    from services.launching.launch import Plan
    from services.launching.ports import Socket
    from services.launching.readiness import Part
    from services.launching.roles import Role

COMMANDS: dict[str, str] = {"up": "service:up", "ui": "service:ui"}
ROOMS = ("service", "ui.cli", "services.launching.cli", "proxies.cli")
HEALTH = {"http": "/health", "ui": "/_stcore/health"}
APP = Path(__file__).resolve().parent / "ui" / "app.py"


# -- the command line ------------------------------------------------------------------------------


def _show_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from services.launching.screen import own_version

        click.echo(f"ragq {own_version()}")
        ctx.exit()


VERSION = click.Option(
    ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_show_version, help="Print the version."
)


@click.command(cls=Commands, table=tables(ROOMS), params=[*global_options(), VERSION], no_args_is_help=True)
def cli() -> None:
    """Ask your own documents, with citations, on your own machine."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; its exit code. An error goes to stderr: what happened, why, what to do."""
    if "RAGQ_PARENT" in os.environ:
        import_module("services.processes.parent").watch_parent()
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return int(cli.main(arguments, prog_name="ragq", standalone_mode=False, obj=Session()) or 0)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except BaseException as error:  # noqa: BLE001 - the last line of defence; --debug shows all of it
        return report(error, debug="--debug" in arguments)


def report(error: BaseException, *, debug: bool) -> int:
    """Print an error for people; the exit code that scripts get."""
    from clients.errors import RagqError

    if debug and not isinstance(error, click.ClickException | click.Abort):
        traceback.print_exception(error)
    elif isinstance(error, click.ClickException):
        error.show()
    elif isinstance(error, click.Abort | KeyboardInterrupt):
        print("stopped", file=sys.stderr)
    elif isinstance(error, RagqError):
        print(f"error: {error}", file=sys.stderr)
    else:
        print(f"error: {type(error).__name__}: {error}\n  this is a defect; --debug shows where", file=sys.stderr)
    return exit_code(error)


def exit_code(error: BaseException) -> int:
    """The number that scripts get: 2 usage or config, 3 port, 4 model, 5 data directory, 130 interrupted, else 1."""
    from clients.errors import BadRequest, ConfigError, ModelNotLoaded, PortBusy
    from services.launching.home import HomeLocked

    table: tuple[tuple[tuple[type[BaseException], ...], int], ...] = (
        ((click.Abort, KeyboardInterrupt), 130),
        ((click.UsageError, ConfigError, BadRequest), 2),
        ((PortBusy,), 3),
        ((ModelNotLoaded,), 4),
        ((HomeLocked,), 5),
    )
    return next((code for kinds, code in table if isinstance(error, kinds)), 1)


# -- the mesh --------------------------------------------------------------------------------------


@click.command()
@click.option(
    "--role", "roles", multiple=True, metavar="NAME", help="Only this: proxy, llm, index, http, ui; may be repeated."
)
@click.option("--no-ui", is_flag=True, help="All but the page.")
@click.option("--port-offset", type=int, metavar="N", help="Add N to every port.")
@click.option("--wait-ready", is_flag=True, help="End with an error unless everything becomes ready.")
@click.pass_obj
def up(session: Session, roles: tuple[str, ...], no_ui: bool, port_offset: int | None, wait_ready: bool) -> int:
    """Start everything that ragq.yml enables, and keep it running."""
    from clients.settings import load
    from services.launching.launch import launch
    from services.launching.places import demand_one

    given = {"data_dir": session.data_dir, "port_offset": "" if port_offset is None else str(port_offset)}
    loaded = load(session.config_path or None, flags={key: value for key, value in given.items() if value})
    asked = roles or tuple(filter(None, os.environ.get("RAGQ_ROLES", "").replace(",", " ").split()))
    wanted = [name for name in chosen(loaded.config, asked) if not (no_ui and name == "ui")]
    if "proxy" in asked:
        demand_one(loaded.config, loaded.config.enabled_services)
    return launch(loaded, plan(loaded.config, wanted, is_strict=wait_ready))


def chosen(config: Config, asked: tuple[str, ...]) -> list[str]:
    """The roles to run: those asked for, or all that are enabled.

    Raises:
        ConfigError: a role is unknown, not enabled, or not in this release.
    """
    from clients.errors import ConfigError
    from clients.reading import nearest

    enabled = ["proxy", *config.enabled_services, *(name for name in HEALTH if getattr(config, name).enabled)]
    known = {*enabled, "llm", "index", "tuning", *config.services, *HEALTH}
    for name in asked:
        if name not in known:
            raise ConfigError(f"there is no role '{name}'", help=nearest(name, known))
        if name not in enabled:
            raise ConfigError(f"the role '{name}' is not enabled", help=f"set {name}.enabled: true")
    wanted = [name for name in enabled if not asked or name in asked]
    if "tuning" in wanted and not config.tuning.module:
        raise ConfigError(
            "tuning.enabled: this release has the contract of the tuning service, not yet a worker that trains",
            help="set tuning.enabled: false, or name a plug-in that serves it in tuning.module",
        )
    return wanted


def plan(config: Config, wanted: list[str], *, is_strict: bool = False) -> Plan:
    """Which processes, which ports and what to wait for."""
    from services.launching.launch import Plan
    from services.launching.places import left_to_others

    notes = left_to_others(config, config.enabled_services) if "proxy" in wanted else []
    return Plan(
        roles=lambda snapshot: list(_roles(config, wanted, snapshot)),
        parts=list(_parts(config, wanted)),
        fronts=_fronts(config, wanted),
        controls=list(_controls(config, wanted)),
        sockets=list(_sockets(config, wanted)),
        needs_models="llm" in wanted,
        is_strict=is_strict,
        notes=notes,
        makes_keys="proxy" in wanted and not notes,
    )


def _roles(config: Config, wanted: list[str], snapshot: Path) -> Iterator[Role]:
    from services.launching import readiness
    from services.launching.home import Home
    from services.launching.places import here
    from services.launching.roles import Role, Stage

    def command(*words: str) -> tuple[str, ...]:
        return (sys.executable, str(Path(__file__).resolve()), *words, "--config", str(snapshot))

    connect = partial(readiness.connected, config)
    if "index" in wanted and config.index.runs_store:
        yield Role("store", "store", command("store"), Stage.STORE, readiness.store_settled(config))
    for name in config.enabled_services:
        ours = here(config, name) if "proxy" in wanted else []
        numbers = range(1, 1 + config.service(name).num_workers if name in wanted else 1)
        workers = [name if nth == 1 else f"{name}-{nth}" for nth in numbers]
        for place in ours:
            number = ("--number", str(place.number)) if place.number else ()
            yield Role(
                place.role, _part_of_proxy(name, wanted), command("proxy", name, *number), Stage.PROXY,
                readiness.proxy_settled(connect, place.pair.front_end.address, Home(config.home), workers),
                partial(readiness.leaves, config.control_address(name, place.number)),
            )  # fmt: skip
        takes_calls = readiness.worker_settled(
            connect, [place.pair.front_end.address for place in ours], config.service(name).fronts
        )
        for worker in workers:
            yield Role(worker, name, command("worker", name), Stage.WORKER, takes_calls)
    for name, path in HEALTH.items():
        if name in wanted:
            yield Role(name, name, command(name), Stage.FACE, readiness.face_settled(getattr(config, name), path))


def _part_of_proxy(name: str, wanted: list[str]) -> str:
    return name if name in wanted else f"proxy-{name}"


def _parts(config: Config, wanted: list[str]) -> Iterator[Part]:
    from services.launching import readiness
    from services.launching.places import here
    from services.launching.readiness import Part

    connect = partial(readiness.connected, config)
    if "index" in wanted and config.index.runs_store:
        yield Part("store", readiness.store_probe(config))
    for name in config.enabled_services:
        section = config.service(name)
        ours = [place.pair.front_end.address for place in here(config, name)] if "proxy" in wanted else []
        if name in wanted:
            yield Part(name, readiness.service_probe(connect, ours, section.fronts, section.num_workers), has_note=True)
        elif ours:
            yield Part(_part_of_proxy(name, wanted), readiness.proxy_probe(connect, ours))
    for name, path in HEALTH.items():
        if name in wanted:
            yield Part(name, readiness.face_probe(getattr(config, name), path))


def _fronts(config: Config, wanted: list[str]) -> dict[str, list[str]]:
    """Which proxies know the workers that run here."""
    return {name: config.service(name).fronts for name in config.enabled_services if name in wanted}


def _controls(config: Config, wanted: list[str]) -> Iterator[str]:
    """The control socket of each proxy that runs here."""
    from services.launching.places import here

    for name in config.enabled_services if "proxy" in wanted else ():
        for place in here(config, name):
            yield config.control_address(name, place.number)


def _sockets(config: Config, wanted: list[str]) -> Iterator[Socket]:
    from services.launching.ports import Socket, of_proxy

    if "proxy" in wanted:
        for name in config.enabled_services:
            yield from of_proxy(config, name)
    for name in HEALTH:
        if name in wanted:
            face = getattr(config, name)
            yield Socket(name, face.host, face.port)


@click.command()
@click.pass_obj
def ui(session: Session) -> None:
    """Run the page in the foreground."""
    from clients.errors import MissingExtra

    config = session.config()
    if find_spec("streamlit") is None:
        raise MissingExtra("streamlit", "ui")
    if session.config_path:
        os.environ["RAGQ_CONFIG"] = str(Path(session.config_path).absolute())
    if session.data_dir:
        os.environ["RAGQ_HOME"] = session.data_dir
    sys.argv = ["streamlit", *streamlit_arguments(config)]
    runpy.run_module("streamlit", run_name="__main__", alter_sys=True)


def streamlit_arguments(config: Config) -> list[str]:
    """What Streamlit is told: this machine only unless asked, nothing sent home, no watching of files."""
    settings = {
        "server.address": config.ui.host,
        "server.port": config.ui.port,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.maxUploadSize": config.index.max_file_mb,
        "browser.serverAddress": config.ui.host,
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
    }
    return ["run", str(APP), *(f"--{key}={value}" for key, value in settings.items())]


def as_script(arguments: list[str]) -> list[str]:
    """``python service.py [OPTIONS]`` without a command means ``up``."""
    names_one = any(word in cli.table for word in arguments) or {"--help", "--version"} & set(arguments)
    return arguments if names_one else ["up", *arguments]


if __name__ == "__main__":
    sys.exit(main(as_script(sys.argv[1:])))
