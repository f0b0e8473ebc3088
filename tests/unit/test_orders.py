"""Are processes of a running mesh replaced one after another, and does the order for it arrive?"""

from __future__ import annotations

import socket
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from clients.errors import NotFound
from clients.overview import MeshStatus
from clients.status import ServiceStatus, WorkerStatus
from services.launching.home import Home, read_roles
from services.launching.liaison import Stuck, report
from services.launching.orders import Failed, ordered, taken
from services.launching.rolling import Order
from services.launching.supervisor import Supervisor
from tests.unit.small_mesh import DEAF, SERVES, await_line, supervisor

pytestmark = pytest.mark.process


def orders(mesh: Supervisor, *names: str, comes_back: bool = True) -> tuple[list[str], str]:
    """Give an order and let the mesh carry it out; what was told, and how it ended."""
    told: list[str] = []
    ends: list[str] = []
    mesh.events.put(Order(names, comes_back, told.append, ends.append))
    while not ends:
        mesh.step(5)
    return told, ends[0]


def pids(mesh: Supervisor) -> dict[str, int]:
    return {seat.role.name: seat.child.pid if seat.child else 0 for seat in mesh.seats}


def test_processes_are_replaced_one_after_another(tmp_path: Path) -> None:
    mesh = supervisor(tmp_path, [], proxy=SERVES, worker=SERVES, face=SERVES)
    mesh.start()
    for seat in mesh.seats:
        await_line(tmp_path / "logs" / f"{seat.role.name}.log")
    before = pids(mesh)
    told, failure = orders(mesh)
    after = pids(mesh)
    assert failure == ""
    assert told == [
        line
        for name in ("proxy", "worker", "face")
        for line in (f"{name}: pid {before[name]} ends", f"{name}: pid {after[name]} serves")
    ]
    assert [seat.num_restarts for seat in mesh.seats] == [0, 0, 0]
    mesh.drain()


def test_the_next_waits_until_the_one_before_serves(tmp_path: Path) -> None:
    settled: list[int] = []
    mesh = supervisor(tmp_path, [], one=SERVES, two=SERVES)
    for seat in mesh.seats:
        seat.role = replace(seat.role, is_settled=lambda pid: len(settled) > 3 or bool(settled.append(pid)))
    mesh.start()
    for name in ("one", "two"):
        await_line(tmp_path / "logs" / f"{name}.log")
    before = pids(mesh)
    mesh.events.put(Order((), comes_back=True, tell=lambda _: None, done=lambda _: None))
    while not settled:
        mesh.step(5)
    assert pids(mesh)["two"] == before["two"]
    while pids(mesh)["two"] == before["two"]:
        mesh.step(5)
    assert len(settled) == 4
    mesh.drain()


def test_what_is_taken_out_stays_away_until_it_is_asked_back(tmp_path: Path) -> None:
    mesh = supervisor(tmp_path, [], worker=SERVES, face=SERVES)
    mesh.start()
    for name in ("worker", "face"):
        await_line(tmp_path / "logs" / f"{name}.log")
    assert orders(mesh, "worker", comes_back=False)[1] == ""
    mesh.step(0.01)
    states = {record.role: record.state for record in read_roles(Home(tmp_path))}
    assert states == {"worker": "stopped", "face": "running"}
    assert orders(mesh, "worker") == ([f"worker: pid {pids(mesh)['worker']} serves"], "")
    mesh.drain()


def test_an_order_for_nobody_names_the_nearest(tmp_path: Path) -> None:
    mesh = supervisor(tmp_path, [], worker=SERVES)
    mesh.start()
    assert orders(mesh, "workker")[1] == "nothing here is called 'workker'; did you mean 'worker'?"
    mesh.drain()


def test_a_successor_that_cannot_work_ends_the_order_and_the_rest_stays(tmp_path: Path) -> None:
    fails_later = (
        f"import os; os.path.exists({str(tmp_path / 'x')!r}) and os._exit(4); open({str(tmp_path / 'x')!r}, 'w');"
    )
    mesh = supervisor(tmp_path, [], one=fails_later + SERVES, two=SERVES)
    for seat in mesh.seats:
        seat.role = replace(seat.role, is_settled=lambda _: False)
    mesh.start()
    for name in ("one", "two"):
        await_line(tmp_path / "logs" / f"{name}.log")
    before = pids(mesh)
    assert orders(mesh)[1] == "one: exit code 4: its model is missing; left as they are: two"
    assert pids(mesh)["two"] == before["two"]
    mesh.drain()


def test_a_mesh_that_stops_ends_the_order_that_is_under_way(tmp_path: Path) -> None:
    mesh = supervisor(tmp_path, [], worker=DEAF)
    mesh.start()
    await_line(tmp_path / "logs" / "worker.log")
    ends: list[str] = []
    mesh.events.put(Order((), comes_back=True, tell=lambda _: None, done=ends.append))
    while pids(mesh)["worker"]:
        mesh.step(5)
    assert not mesh.drain(drain_s=0.1, insist_s=0.1)
    assert ends == ["the mesh stops"]


def test_orders_come_over_a_socket_file_that_only_this_user_can_open(tmp_path: Path) -> None:
    door = tmp_path / "run" / "launcher"
    got: list[Order] = []

    def carry_out(order: Order) -> None:
        got.append(order)
        order.tell("half of it")
        order.done("" if order.comes_back else "it went wrong")

    with taken(door, carry_out):
        assert list(ordered(door, ("llm",), comes_back=True)) == ["half of it"]
        with pytest.raises(Failed, match="it went wrong"):
            list(ordered(door, (), comes_back=False))
        assert [(order.names, order.comes_back) for order in got] == [(("llm",), True), ((), False)]
        assert (stat.S_IMODE(door.stat().st_mode), stat.S_IMODE(door.parent.stat().st_mode)) == (0o600, 0o700)
    with pytest.raises(NotFound, match="no mesh takes orders"):
        list(ordered(door, (), comes_back=True))


def test_a_request_that_is_none_ends_with_the_connection(tmp_path: Path) -> None:
    with taken(tmp_path / "door", lambda _: None), socket.socket(socket.AF_UNIX) as line:
        line.connect(str(tmp_path / "door"))
        line.sendall(b"{nonsense\n")
        assert line.recv(10) == b""


# -- workers that are stuck


def test_a_worker_that_is_stuck_is_killed_when_it_will_not_end_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.launching.supervisor.INSIST_S", 0.2)
    said: list[str] = []
    mesh = supervisor(tmp_path, said, worker=DEAF, face=SERVES)
    mesh.start()
    await_line(tmp_path / "logs" / "worker.log")
    before = pids(mesh)
    mesh.events.put(Stuck(before["worker"]))
    mesh.events.put(Stuck(before["worker"]))
    mesh.events.put(Stuck(1))
    while pids(mesh)["worker"] in (before["worker"], 0):
        mesh.step(5)
    assert said == [
        f"worker: pid {before['worker']} is stuck and answers nobody; starting it again",
        "worker ended: signal SIGKILL; starting it again in 0.5 s\n    up",
    ]
    assert pids(mesh)["face"] == before["face"]
    mesh.drain(drain_s=0.1, insist_s=0.1)


def test_only_stuck_workers_of_this_machine_are_told(tmp_path: Path) -> None:
    told: list[Stuck] = []
    here = socket.gethostname()
    views = [("ready", here, 1), ("stuck", "elsewhere", 2), ("stuck", here, 3), ("suspect", here, 4)]
    workers = [WorkerStatus(str(pid), pid, host, state, 1, 0) for state, host, pid in views]  # type: ignore[arg-type]
    report(MeshStatus([ServiceStatus("llm", "ready", workers)]), told.append)
    assert told == [Stuck(3)]


def test_the_end_of_a_worker_is_told_at_once_and_that_of_a_face_to_nobody(tmp_path: Path) -> None:
    dead: list[int] = []
    mesh = supervisor(tmp_path, [], dead.append, worker=SERVES, face=SERVES)
    mesh.start()
    before = pids(mesh)
    for seat in mesh.seats:
        assert seat.child
        seat.child.kill()
    while any(seat.restart_at is None for seat in mesh.seats):
        mesh.step(5)
    assert dead == [before["worker"]]
    mesh.drain()
