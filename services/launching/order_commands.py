"""The commands that replace, or take out, processes of the mesh that runs on this machine."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import suppress
from typing import Protocol

import click

from clients.client import Client
from clients.config import Config
from clients.errors import BadRequest, DeadlineExceeded, Forbidden, NotFound
from clients.mesh import Ragq
from clients.status import WorkerStatus
from clients.system import DRAIN, HEALTH
from clients.wire import Nothing
from services.launching import orders
from services.launching.home import Home, read_roles
from services.launching.places import places

POLL_S = 0.1


class Session(Protocol):
    """The global options."""

    def config(self) -> Config:
        """The configuration with the options applied."""
        ...


@click.command()
@click.argument("names", nargs=-1, metavar="[SERVICE|ROLE]…")
@click.pass_obj
def restart(session: Session, names: tuple[str, ...]) -> None:
    """Replace the processes of the running mesh one after another; no call is lost.

    Each ends when the calls that it holds have ended, and the next one goes when its successor
    serves. Without a name every process is replaced; 'proxy' means every proxy, 'worker' every
    worker, 'llm' all of a service, 'llm-2' or 'proxy-llm-1' one process.
    """
    for line in orders.ordered(orders.door(session.config()), names, comes_back=True):
        click.echo(line)


@click.command()
@click.argument("service", default="")
@click.option("--number", default=0, show_default=True, type=click.IntRange(min=0), help="Which proxy of SERVICE.")
@click.option("--worker", default="", metavar="ID|PID", help="A worker instead of a proxy.")
@click.option(
    "--timeout", "timeout_s", default=60.0, show_default=True, type=click.FloatRange(0, min_open=True), metavar="S",
    help="Seconds to wait for its end.",
)  # fmt: skip
@click.pass_obj
def drain(session: Session, service: str, number: int, worker: str, timeout_s: float) -> None:
    """Take a proxy of SERVICE, or a worker, out of the mesh: it finishes what it holds, takes nothing new, and ends.

    A process of 'ragq up' stays away until 'ragq restart' names it.
    """
    if bool(service) == bool(worker):
        raise BadRequest("name a service, or a worker with --worker", help="'ragq top' lists both")
    config = session.config()
    if worker:
        _drain_worker(config, worker, timeout_s)
    else:
        _drain_proxy(config, service, number, timeout_s)


def _drain_proxy(config: Config, service: str, number: int, timeout_s: float) -> None:
    known = {place.number: place.role for place in places(config, service)}
    if number not in known:
        raise NotFound(f"{service} has no proxy {number}", help=f"its numbers are {', '.join(map(str, known))}")
    if Home(config.home).owner():
        _order(config, known[number])
        return
    with Client(config.control_address(service, number), timeout_s=timeout_s) as client:
        pid = client.call(HEALTH, Nothing()).pid
        client.call(DRAIN, Nothing())
    _await_end(pid, timeout_s)
    click.echo(f"pid {pid} ended")


def _order(config: Config, role: str) -> None:
    for line in orders.ordered(orders.door(config), (role,), comes_back=False):
        click.echo(line)


def _drain_worker(config: Config, name: str, timeout_s: float) -> None:
    worker = _found(config, name)
    home = Home(config.home)
    role = next((record.role for record in read_roles(home) if record.pid == worker.pid), "") if home.owner() else ""
    if role:
        _order(config, role)
        return
    try:
        os.kill(worker.pid, signal.SIGTERM)
    except PermissionError:
        raise Forbidden(f"pid {worker.pid} belongs to another user", help="ask its owner, or root") from None
    _await_end(worker.pid, timeout_s)
    click.echo(f"pid {worker.pid} ended")


def _found(config: Config, name: str) -> WorkerStatus:
    """The worker of this machine with that pid, or whose id begins so."""
    with Ragq(config) as mesh:
        workers = [worker for service in mesh.status().services for worker in service.workers]
    named = [worker for worker in workers if name == str(worker.pid) or worker.id.startswith(name)]
    here = [worker for worker in named if worker.host == socket.gethostname()]
    if named and not here:
        raise NotFound(f"worker {name} runs on {named[0].host}", help="run this command there")
    if len(here) != 1:
        many = "several workers are" if here else "no worker is"
        raise NotFound(f"{many} called {name}", help="'ragq top --json' lists them with id and pid")
    return here[0]


def _await_end(pid: int, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(POLL_S)
        raise DeadlineExceeded(
            f"pid {pid} still runs after {timeout_s:.0f} s", help="it finishes the calls that it holds"
        )
