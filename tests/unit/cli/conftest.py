from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import click
import pytest
from click.testing import CliRunner, Result

from tests.unit.cli.desk import Desk, session_of
from ui.cli import COMMANDS


def command(name: str) -> click.Command:
    module, _, attribute = COMMANDS[name].partition(":")
    found = getattr(import_module(module), attribute)
    assert isinstance(found, click.Command)
    return found


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def ragq(desk: Desk) -> Callable[..., Result]:
    """Run a command as a shell would: ``ragq("add", "x.txt", "-c", "docs")``."""

    def run(name: str, *arguments: object, stdin: str | bytes = "") -> Result:
        return CliRunner().invoke(command(name), [str(a) for a in arguments], obj=session_of(desk), input=stdin)

    return run
