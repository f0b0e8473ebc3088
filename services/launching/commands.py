"""How do commands come out of tables of names, so that ``ragq --help`` imports none of them?"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache, wraps
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

FOREGROUND = ("worker", "proxy", "http", "ui")


class Commands(click.Group):
    """All commands by name; their modules stay unread until one of them is called.

    Args:
        table: name of a command to ``module:attribute``.
    """

    def __init__(self, *args: Any, table: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Every name."""
        return sorted(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import a command and give it the global options."""
        target = self.table.get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        found: click.Command = getattr(import_module(module), attribute)
        with_global_options(found)
        return with_log(found) if cmd_name in FOREGROUND else found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name; UsageError with the nearest name for a typo."""
        from clients.reading import nearest

        if args and args[0] not in self.table and not args[0].startswith("-"):
            raise click.UsageError(f"there is no command '{args[0]}'; {nearest(args[0], self.table)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands with their first lines, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary(target)) for name, target in sorted(self.table.items())])


def tables(rooms: Iterable[str]) -> dict[str, str]:
    """Name of a command to ``module:attribute``, from the COMMANDS of each room."""
    return {name: target for room in rooms for name, target in _commands(room)}


def _commands(room: str) -> Iterator[tuple[str, str]]:
    """The COMMANDS of a room, read from its source: to import it would cost what running it needs."""
    for node in _source(room).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "COMMANDS" and node.value:
            yield from ast.literal_eval(node.value).items()


def summary(target: str) -> str:
    """The first line of a command's docstring, read from its source."""
    module, _, attribute = target.partition(":")
    for node in _source(module).body:
        if isinstance(node, ast.FunctionDef) and node.name == attribute:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return ""


@cache
def _source(module: str) -> ast.Module:
    spec = find_spec(module)
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else "")


def global_options() -> list[click.Parameter]:
    """Options that every command takes; they fill the session and are not handed to the command."""
    kept: dict[str, Any] = {"expose_value": False, "callback": _into_session}
    return [
        click.Option(["--config", "config_path"], metavar="FILE", help="A ragq.yml.", **kept),
        click.Option(["--data-dir"], metavar="DIR", help="The data directory.", **kept),
        click.Option(["--debug"], is_flag=True, help="Show tracebacks.", **kept),
    ]


def _into_session(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value and parameter.name:
        ctx.obj = replace(ctx.obj, **{parameter.name: value})


def with_global_options(command: click.Command) -> None:
    """Let a command, and each below it, take --config, --data-dir and --debug."""
    if all(parameter.name != "debug" for parameter in command.params):
        command.params.extend(global_options())
    if isinstance(command, click.Group):
        for below in command.commands.values():
            with_global_options(below)


def with_log(command: click.Command) -> click.Command:
    """A command whose process writes a log to stderr: text on a terminal, JSON lines elsewhere."""
    inner = command.callback
    assert inner is not None

    @wraps(inner)
    def logged(*args: Any, **kwargs: Any) -> Any:
        from services.processes.logs import set_up

        set_up(_role(command, kwargs), click.get_current_context().obj.config().log_level)
        return inner(*args, **kwargs)

    command.callback = logged
    return command


def _role(command: click.Command, given: dict[str, Any]) -> str:
    """What the process is called in its log, as the launcher calls it: ``llm``, ``proxy-llm-1``, ``http``."""
    if command.name != "proxy":
        return str(given.get("name", command.name))
    return f"proxy-{given['name']}" + (f"-{given['number']}" if given.get("number") else "")
