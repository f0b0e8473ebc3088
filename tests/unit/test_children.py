"""Does a process that died come back, and is it said how it ended?"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.launching.home import Home, HomeLocked, HomeUnusable, RoleRecord, read_roles
from services.launching.roles import Role, Stage
from services.launching.supervisor import Supervisor
from services.processes import logs
from services.processes.children import NUM_LAST_LINES, Child, Exit
from services.processes.logs import LogFile, Record
from services.processes.restart import GiveUp, Restart, RestartPolicy
from tests.unit.small_mesh import DEAF, SERVES, SLEEPS, await_line, calm, supervisor

pytestmark = pytest.mark.process


# -- restarts


def test_the_pause_doubles_up_to_thirty_seconds() -> None:
    policy, now, pauses = RestartPolicy(calm), 0.0, []
    for _ in range(9):
        policy.started(now)
        verdict = policy.died(now + 40, 1)
        assert isinstance(verdict, Restart)
        pauses.append(verdict.at - now - 40)
        now = verdict.at
    assert pauses == pytest.approx([0.5, 1, 2, 4, 8, 16, 30, 30, 30])


def test_a_minute_of_health_forgives() -> None:
    policy = RestartPolicy(calm)
    for now in (0.0, 1.0):
        policy.started(now)
        policy.died(now, 1)
    policy.started(10.0)
    assert policy.died(69.9, 1) == Restart(69.9 + 2.0)
    policy.started(100.0)
    assert policy.died(160.0, 1) == Restart(160.5)


def test_the_sixth_crash_in_two_minutes_is_the_last() -> None:
    policy = RestartPolicy(calm)
    verdicts = [policy.died(10.0 * n, 1) for n in range(6)]
    assert all(isinstance(verdict, Restart) for verdict in verdicts[:5])
    assert verdicts[5] == GiveUp("it crashed 6 times in 120 s")


def test_crashes_that_are_far_apart_never_end_it() -> None:
    policy = RestartPolicy(calm)
    assert all(isinstance(policy.died(25.0 * n, -signal.SIGSEGV), Restart) for n in range(50))


@pytest.mark.parametrize("code", [2, 4, 5])
def test_an_exit_that_another_start_cannot_mend_is_final(code: int) -> None:
    assert isinstance(RestartPolicy(calm).died(0.0, code), GiveUp)


@given(st.lists(st.tuples(st.floats(0, 300), st.integers(-15, 1)), max_size=30), st.floats(0, 1))
def test_a_restart_is_never_early_and_never_later_than_36_seconds(lives: list[tuple[float, int]], dice: float) -> None:
    policy, now = RestartPolicy(lambda: dice), 0.0
    for lived_s, code in lives:
        policy.started(now)
        now += lived_s
        verdict = policy.died(now, code)
        if isinstance(verdict, GiveUp):
            return
        assert 0.499 <= verdict.at - now <= 36.001
        now = verdict.at


# -- one child


def run_child(tmp_path: Path, code: str) -> tuple[Child, list[Record]]:
    ended: queue.SimpleQueue[Child] = queue.SimpleQueue()
    log = LogFile(tmp_path / "x.log")
    child = Child("x", [sys.executable, "-S", "-c", code], log, ended.put)
    assert ended.get(timeout=20) is child
    log.close()
    return child, logs.last([tmp_path / "x.log"], 100)


def test_what_a_child_says_is_logged_and_its_last_lines_are_kept(tmp_path: Path) -> None:
    child, records = run_child(tmp_path, "for n in range(50): print(n)\nraise SystemExit(3)")
    assert child.exit == Exit(3, last_lines=tuple(str(n) for n in range(50 - NUM_LAST_LINES, 50)))
    assert child.exit.reason == "exit code 3"
    assert [record.text for record in records] == [str(n) for n in range(50)]
    assert {record.level for record in records} == {"OUTPUT"}


def test_a_signal_is_named(tmp_path: Path) -> None:
    child, _ = run_child(tmp_path, "import os; os.kill(os.getpid(), 11)")
    assert child.exit
    assert child.exit.reason == "signal SIGSEGV"
    assert not child.exit.is_clean


def test_a_log_line_of_a_child_keeps_level_and_trace(tmp_path: Path) -> None:
    line = Record(1.0, "ERROR", "x", "broke", "l", "Traceback\n  at 1").line()
    child, records = run_child(tmp_path, f"print({line!r})")
    assert records == [Record(1.0, "ERROR", "x", "broke", "l", "Traceback\n  at 1")]
    assert child.exit
    assert child.exit.last_lines == ("broke", "Traceback", "  at 1")


def test_a_child_is_alone_in_its_session_and_has_no_input(tmp_path: Path) -> None:
    code = "import os,sys; print(os.getsid(0) == os.getpid() == os.getpgrp(), sys.stdin.read() == '')"
    _, records = run_child(tmp_path, code)
    assert records[0].text == "True True"


def test_what_a_child_started_ends_with_it(tmp_path: Path) -> None:
    code = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid)"
    _, records = run_child(tmp_path, code)
    while is_alive(int(records[0].text)):
        threading.Event().wait(0.005)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only awaits its reaper does not."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip()[:1] not in ("", "Z")


# -- many children


def test_faces_end_before_workers_before_proxies(tmp_path: Path) -> None:
    said: list[str] = []
    mesh = supervisor(tmp_path, said, face=SERVES, proxy=SERVES, worker=SERVES)
    mesh.start()
    order = [seat.role.name for seat in mesh.seats]
    for name in order:
        await_line(tmp_path / "logs" / f"{name}.log")
    ends: list[str] = []
    for seat in mesh.seats:
        assert seat.child
        inner = seat.child.terminate
        seat.child.terminate = lambda inner=inner, name=seat.role.name: (ends.append(name), inner())  # type: ignore[method-assign]
    assert mesh.drain()
    assert order == ["proxy", "worker", "face"]
    assert ends == ["face", "worker", "proxy"]
    assert [record.state for record in read_roles(Home(tmp_path))] == ["stopped"] * 3


def test_a_child_that_will_not_end_is_killed_and_the_stop_is_not_clean(tmp_path: Path) -> None:
    mesh = supervisor(tmp_path, [], worker=DEAF)
    mesh.start()
    await_line(tmp_path / "logs" / "worker.log")
    assert not mesh.drain(drain_s=0.1, insist_s=0.1)
    assert mesh.seats[0].last_exit
    assert mesh.seats[0].last_exit.code == -signal.SIGKILL


def test_a_second_stop_ends_all_at_once(tmp_path: Path) -> None:
    mesh = supervisor(tmp_path, [], worker=DEAF)
    mesh.start()
    await_line(tmp_path / "logs" / "worker.log")
    mesh.request_stop()
    while not mesh.is_stopping:
        mesh.step(5)
    mesh.request_stop()
    assert not mesh.drain(drain_s=30, insist_s=30)


def test_a_role_that_cannot_work_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    said: list[str] = []
    mesh = supervisor(tmp_path, said, worker="print('no such model'); raise SystemExit(4)", proxy=SLEEPS)
    mesh.start()
    while not mesh.failures:
        mesh.step(5)
    assert said == ["worker ended: exit code 4: its model is missing\n    no such model"]
    assert not mesh.is_all_lost
    failed = next(record for record in read_roles(Home(tmp_path)) if record.role == "worker")
    assert failed == RoleRecord("worker", "failed", 0, 0, "exit code 4: its model is missing")
    assert mesh.drain()


def test_a_child_that_was_killed_is_started_again(tmp_path: Path) -> None:
    said: list[str] = []
    mesh = supervisor(tmp_path, said, worker=SERVES)
    mesh.start()
    first = mesh.seats[0].child
    assert first
    first.kill()
    while mesh.seats[0].num_restarts == 0:
        mesh.step(5)
    assert said == ["worker ended: signal SIGKILL; starting it again in 0.5 s"]
    second = mesh.seats[0].child
    assert second
    assert second.pid != first.pid
    second.kill()
    mesh.drain()


def test_a_program_that_is_not_there_is_a_failure_and_no_crash(tmp_path: Path) -> None:
    said: list[str] = []
    home = Home(tmp_path)
    home.prepare()
    mesh = Supervisor([Role("x", "x", ("/no/such", "program"), Stage.FACE)], home, env={}, tell=said.append, dice=calm)
    mesh.start()
    assert mesh.is_all_lost
    assert said == ["x ended: cannot start /no/such: No such file or directory"]
    assert mesh.drain()


# -- logs


def test_a_log_is_turned_over_and_nothing_is_lost(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log", max_bytes=400, num_old=2)
    for n in range(12):
        log.write(Record(float(n), "INFO", "x", f"line {n}" + "." * 50))
    log.close()
    files = sorted(tmp_path.iterdir(), reverse=True)
    assert [path.name for path in files] == ["x.log.2", "x.log.1", "x.log"]
    assert all(path.stat().st_size <= 400 for path in files)
    times = [logs.parse(line, "x").time for path in files for line in path.read_text().splitlines()]
    assert times == [float(n) for n in range(12)][-len(times) :]


def test_a_follower_sees_lines_across_a_turn(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log", max_bytes=150)
    log.write(Record(0.0, "INFO", "x", "old"))
    with closing(logs.Follower(tmp_path / "x.log")) as reader:
        for n in (1, 2):
            log.write(Record(float(n), "INFO", "x", f"new {n}" + "." * 30))
        assert [record.time for record in reader.read()] == [1.0, 2.0]
    log.close()


@given(st.text(max_size=200))
def test_any_line_becomes_a_record(line: str) -> None:
    assert logs.parse(line, "x").role == "x"


def test_a_role_name_finds_all_of_its_logs(tmp_path: Path) -> None:
    for name in ("llm", "llm-2", "proxy-llm", "index", "launcher"):
        (tmp_path / f"{name}.log").touch()
    assert [path.stem for path in logs.files(tmp_path, "llm")] == ["llm-2", "llm", "proxy-llm"]
    assert len(logs.files(tmp_path)) == 5


# -- the data directory


def test_one_mesh_at_a_time_owns_a_data_directory(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    assert home.owner() == 0
    with home.locked():
        assert home.owner() == os.getpid()
        with pytest.raises(HomeLocked, match=f"pid {os.getpid()}") as caught, home.locked():
            pytest.fail("locked twice")
        assert "ragq down" in caught.value.help
    assert home.owner() == 0


def test_a_data_directory_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HomeUnusable, match="cannot write the data directory"):
        Home(tmp_path / "file" / "home").prepare()


def test_a_broken_record_of_roles_counts_as_none(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    for text in ("", "{", "[1]", '[{"x": 1}]'):
        home.roles.write_text(text)
        assert read_roles(home) == []
