"""What happens in the mesh right now, second by second?"""

from __future__ import annotations

import select
import signal
import time
from collections.abc import Sequence
from types import FrameType

import click
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from clients.mesh import Ragq
from clients.sockets import Wake

from . import show
from .load import Board, Load, Look, WorkerLoad, board
from .options import json_option
from .session import Session
from .status import advise

INTERVAL_S = 1.0
SERVICES = ("SERVICE", "STATE", "WORKERS", "QUEUED", "RUNNING", "CALLS/S", "ERR/S", "P50", "P95", "REQUEUED", "NOTE")
PROXIES = ("PROXY", "STATE", "PID", "UP", "QUEUED", "RUNNING", "CALLS/S", "ERR/S", "P50", "P95", "ADDRESS")
WORKERS = ("WORKER", "STATE", "HOST", "PID", "UP", "RUNNING", "RSS", "NOTE")
STYLES = {
    "ready": "green", "starting": "yellow", "draining": "yellow",
    "suspect": "red", "stuck": "bold red", "down": "bold red",
}  # fmt: skip
Rows = list[tuple[str, ...]]


@click.command()
@click.option("--once", is_flag=True, help="Measure for one second, print, and end.")
@json_option
@click.pass_obj
def top(session: Session, once: bool, as_json: bool) -> None:
    """Show services, proxies, workers, queues and rates, anew every second; Ctrl-C ends it.

    Where the output is no terminal it is printed once.
    """
    with session.mesh() as mesh:
        if as_json or once or not show.terminal().is_terminal:
            before = _look(mesh)
            time.sleep(INTERVAL_S)
            now = _look(mesh)
            found = board(before, now)
            show.document(found) if as_json else _print(found)
            if not now.status.whole:
                advise(now.status)
        else:
            _watch(mesh)


def _look(mesh: Ragq) -> Look:
    status = mesh.status(INTERVAL_S)
    return Look(time.monotonic(), status)


def _print(found: Board) -> None:
    for columns, rows in tables(found):
        show.table(columns, rows)
        click.echo()


def _watch(mesh: Ragq) -> None:
    """Draw until somebody ends it. A signal raises nothing, so that the terminal is always put back as it was."""
    ended = Wake()  # an Event's own lock may be held by the very thread that the signal interrupts

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    before = _look(mesh)
    with Live(_drawn(board(before, before)), console=show.terminal(), screen=True, auto_refresh=False) as live:
        while not select.select([ended.reader], [], [], INTERVAL_S)[0]:
            now = _look(mesh)
            live.update(_drawn(board(before, now)), refresh=True)
            before = now


def _drawn(found: Board) -> Group:
    parts: list[Table | Text] = [Text(f"ragq top  {time.strftime('%H:%M:%S')}  Ctrl-C ends it\n", style="dim")]
    for columns, rows in tables(found):
        ruled = Table(*columns, box=None, pad_edge=False, header_style="bold")
        for name, state, *rest in rows:
            ruled.add_row(Text(name), Text(state, style=STYLES.get(state, "")), *map(Text, rest))
        parts += [ruled, Text()]
    return Group(*parts)


def tables(found: Board) -> list[tuple[Sequence[str], Rows]]:
    """The three tables of a board: columns, then rows whose second cell is the state."""
    return [
        (SERVICES, [_service(load) for load in found.services]),
        (PROXIES, [_proxy(load) for load in found.proxies]),
        (WORKERS, [_worker(load) for load in found.workers]),
    ]


def _service(load: Load) -> tuple[str, ...]:
    return load.service, load.state, str(load.num_workers), *_flow(load), str(load.num_requeued), load.note


def _proxy(load: Load) -> tuple[str, ...]:
    pid = str(load.pid) if load.pid else "-"
    return f"{load.service} {load.number}", load.state, pid, show.duration(load.up_s), *_flow(load), load.address


def _flow(load: Load) -> tuple[str, ...]:
    queued = "+".join(map(str, load.queued))
    rates = f"{load.calls_per_s:.1f}", f"{load.errors_per_s:.1f}"
    return queued, f"{load.running}/{load.slots}", *rates, show.latency(load.p50_s), show.latency(load.p95_s)


def _worker(load: WorkerLoad) -> tuple[str, ...]:
    worker = load.worker
    return (
        load.service, worker.state, worker.host, str(worker.pid), show.duration(worker.up_s),
        f"{worker.running}/{worker.slots}", show.size(worker.rss_bytes), worker.note,
    )  # fmt: skip
