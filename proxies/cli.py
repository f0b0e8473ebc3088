"""The commands that run one proxy or the HTTP face in the foreground; a command's module is imported when it runs."""

from __future__ import annotations

from typing import Protocol

import click

from clients.config import Config

COMMANDS: dict[str, str] = {
    "proxy": "proxies.cli:proxy",
    "http": "proxies.cli:http",
}


class Session(Protocol):
    """The global options."""

    def config(self) -> Config:
        """The configuration with the options applied."""
        ...


@click.command()
@click.argument("name")
@click.option(
    "--number",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="Which of the service's proxies: 0 is that of front_end and back_end, 1 the first under 'proxies'.",
)
@click.pass_obj
def proxy(session: Session, name: str, number: int) -> None:
    """Run a proxy of one service in the foreground, for systemd, containers or another host."""
    from proxies.proxy import run

    raise SystemExit(run(session.config(), name, number))


@click.command()
@click.pass_obj
def http(session: Session) -> None:
    """Run the HTTP face in the foreground."""
    from proxies.http import run

    raise SystemExit(run(session.config()))
