"""docs/cli.md against the commands: every help text, every example, every exit code.

``python tests/docs/test_cli_docs.py`` writes the help texts into the page.
"""

from __future__ import annotations

import copy
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "cli.md"
WIDTH = 100
SECTION = re.compile(r"^### ragq (\S+)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
HELP = re.compile(r"```text\n(.*?)```\n", re.DOTALL)
EXAMPLES = re.compile(r"```sh\n(.*?)```\n", re.DOTALL)
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import service  # noqa: E402 - the path comes first when this file is run as a program
from ui.cli.session import Session  # noqa: E402


def context(command: click.Command, name: str) -> click.Context:
    return click.Context(command, info_name=name, max_content_width=WIDTH, terminal_width=WIDTH)


def own(command: click.Command) -> click.Command:
    """The command without the options that all have."""
    plain = copy.copy(command)
    plain.params = [p for p in command.params if p.name not in ("config_path", "data_dir", "debug")]
    return plain


def helps(command: click.Command, name: str) -> Iterator[str]:
    """The help of a command and of those below it."""
    yield own(command).get_help(context(own(command), name))
    if isinstance(command, click.Group):
        for below in sorted(command.commands):
            yield from helps(command.commands[below], f"{name} {below}")


def found(name: str) -> click.Command:
    command = service.cli.get_command(click.Context(service.cli), name)
    assert command is not None
    return command


def block(name: str) -> str:
    return "\n\n".join(helps(found(name), f"ragq {name}")) + "\n"


def names() -> list[str]:
    return service.cli.list_commands(click.Context(service.cli))


def sections() -> dict[str, str]:
    return dict(SECTION.findall(PAGE.read_text(encoding="utf-8")))


def rewritten(page: str) -> str:
    """The page with every help text as it is now."""

    def section(match: re.Match[str]) -> str:
        return HELP.sub(lambda _: f"```text\n{block(match[1])}```\n", match[0], count=1)

    return SECTION.sub(section, page)


def test_every_command_is_on_the_page_and_no_other() -> None:
    assert sorted(sections()) == names()


@pytest.mark.parametrize("name", names())
def test_the_page_says_what_help_says(name: str) -> None:
    shown = HELP.search(sections()[name])
    assert shown, f"ragq {name} has no ```text block"
    assert shown[1] == block(name), "run: python tests/docs/test_cli_docs.py"


def examples() -> list[str]:
    return [line for text in sections().values() for part in EXAMPLES.findall(text) for line in part.splitlines()]


@pytest.mark.parametrize("line", examples())
def test_every_example_is_understood(line: str) -> None:
    program, name, *arguments = shlex.split(line.partition("<")[0])
    assert program == "ragq"
    command, path = found(name), name
    while isinstance(command, click.Group) and arguments and arguments[0] in command.commands:
        command, path = command.commands[arguments[0]], f"{path} {arguments.pop(0)}"
    command.make_context(path, arguments, obj=Session())


def test_every_exit_code_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert listed == {0, 1, 2, 3, 4, 5, 130}
    from clients.errors import BadRequest, ModelNotLoaded, NotFound, PortBusy

    codes = [service.exit_code(e) for e in (NotFound("x"), BadRequest("x"), PortBusy("x"), ModelNotLoaded("x"))]
    assert codes == [1, 2, 3, 4]


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
