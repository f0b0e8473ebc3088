"""How does a command end that could not do what it was told."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

import click

from clients.errors import ConfigError, ModelNotLoaded, RagqError

FAILED, CONFIG, NO_MODEL = 1, 2, 4
P = ParamSpec("P")


def failing(command: Callable[P, None]) -> Callable[P, None]:
    """The command, with an error of ours said in its own words and an exit status that tells its kind."""

    @functools.wraps(command)
    def guarded(*arguments: P.args, **options: P.kwargs) -> None:
        try:
            command(*arguments, **options)
        except RagqError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(
                NO_MODEL if isinstance(error, ModelNotLoaded) else CONFIG if isinstance(error, ConfigError) else FAILED
            )

    return guarded
