"""Does a mesh of real processes start, come back, stop, and leave nobody behind?"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.launching.home import Home, read_roles
from services.launching.ports import Socket, is_free

pytestmark = pytest.mark.mesh
ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0

LAUNCHER = """
import json, os, random, sys
from pathlib import Path
from services.launching.home import Home
from services.launching.roles import Role, Stage
from services.launching.supervisor import Supervisor
home = Home(Path(sys.argv[1]))
home.prepare()
commands = json.loads(sys.argv[2])
roles = [Role(name, name, (sys.executable, *command), Stage.WORKER) for name, command in commands.items()]
mesh = Supervisor(roles, home, env=os.environ, tell=print, dice=random.random)
mesh.start()
while True:
    mesh.step(60)
"""
PARENT = "services.processes.parent"
WATCHED = f"import sys; sys.path.insert(0, {{root!r}}); from {PARENT} import watch_parent; watch_parent();"
# A library that loads a model may keep the interpreter to itself for seconds: ctypes.PyDLL does just that.
STUBBORN = WATCHED + "import ctypes, os; os.write(1, b'up\\n'); ctypes.PyDLL(None).sleep(60)"
DEAF = (
    WATCHED
    + "import signal; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; print('up')\nwhile True: signal.pause()"
)
PARENT = WATCHED + "import subprocess; p = subprocess.Popen(['sleep', '61']); print('up', p.pid); p.wait()"


def await_that(what: Callable[[], object], said: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline, said
        time.sleep(0.02)


def running(pids: list[int]) -> list[int]:
    """Those that run; zombies that await their reaper do not."""
    done = subprocess.run(
        ["ps", "-o", "pid=,stat=", "-p", ",".join(map(str, pids))], capture_output=True, text=True, check=False
    )
    return [int(line.split()[0]) for line in done.stdout.splitlines() if "Z" not in line.split()[1]]


def children(pid: int) -> list[int]:
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in done.stdout.split()]


def test_no_child_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    kinds = {"stubborn": STUBBORN, "deaf": DEAF, "parent": PARENT}
    commands = {name: ("-c", code.format(root=str(ROOT))) for name, code in kinds.items()}
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER, str(tmp_path), json.dumps(commands)], cwd=ROOT)
    logs = [tmp_path / "logs" / f"{name}.log" for name in kinds]
    try:
        await_that(lambda: all(log.exists() and log.read_text() for log in logs), "the children did not start")
        pids = children(launcher.pid)
        pids += [int(json.loads((tmp_path / "logs" / "parent.log").read_text())["text"].split()[1])]
        assert len(running(pids)) == 4
    finally:
        launcher.kill()
        launcher.wait()
    killed_at = time.monotonic()
    await_that(lambda: not running(pids), "children outlived the supervisor")
    assert time.monotonic() - killed_at < 10


Launch = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def offset() -> int:
    """Free ports for a whole mesh."""
    wanted = (7780, 7781, 7782, 7783, 7784, 8501)
    with socket.create_server(("127.0.0.1", 0)) as server:
        start = 10_000 + server.getsockname()[1] % 20_000
    return next(
        n for n in range(start, start + 1000, 10) if all(is_free(Socket("x", "127.0.0.1", p + n)) for p in wanted)
    )


@pytest.fixture
def launch(tmp_path: Path, offset: int) -> Iterator[Launch]:
    """Starts ``service.py up`` on a home and ports of its own."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str, **settings: str) -> subprocess.Popen[str]:
        settings = {"RAGQ_HOME": str(tmp_path), "RAGQ_PORT_OFFSET": str(offset), **settings}
        command = [sys.executable, str(ROOT / "service.py"), "up", *words]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=os.environ | settings,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def until(process: subprocess.Popen[str], words: str) -> str:
    """What it printed up to and with a line that has ``words``."""
    shown = ""
    assert process.stdout
    for line in process.stdout:
        shown += line
        if words in line:
            return shown
    raise AssertionError(f"no line with {words!r} in:\n{shown}")


def test_proxies_start_are_announced_when_they_answer_and_stop_in_order(launch: Launch, tmp_path: Path) -> None:
    process = launch("--role", "proxy")
    shown = until(process, "Started in")
    assert ["proxy-llm", "ready"] in [line.split()[:2] for line in shown.splitlines()]
    assert f"data {tmp_path}" in shown
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, rest
    assert "stopped in" in rest
    assert {record.state for record in read_roles(Home(tmp_path))} == {"stopped"}


def test_after_a_kill_of_the_launcher_the_next_start_finds_everything_free(launch: Launch, tmp_path: Path) -> None:
    first = launch("--role", "proxy")
    until(first, "Started in")
    pids = children(first.pid)
    assert len(pids) == 2
    first.kill()
    first.wait()
    killed_at = time.monotonic()
    await_that(lambda: not running(pids), "proxies outlived the launcher")
    assert time.monotonic() - killed_at < 10
    second = launch("--role", "proxy")
    until(second, "Started in")
    second.terminate()
    assert second.wait(timeout=PATIENCE_S) == 0


def test_a_killed_proxy_comes_back(launch: Launch, tmp_path: Path) -> None:
    process = launch("--role", "proxy")
    until(process, "Started in")
    victim = next(record for record in read_roles(Home(tmp_path)) if record.role == "proxy-index")
    os.kill(victim.pid, signal.SIGKILL)
    assert "signal SIGKILL; starting it again in" in until(process, "proxy-index ended")
    await_that(lambda: [r.restarts for r in read_roles(Home(tmp_path)) if r.role == "proxy-index"] == [1], "no restart")
    process.terminate()
    assert process.wait(timeout=PATIENCE_S) == 0


def test_a_second_mesh_is_refused_by_lock_and_by_port(launch: Launch, tmp_path: Path) -> None:
    first = launch("--role", "proxy")
    until(first, "Started in")
    same_home = launch("--role", "proxy")
    said, _ = same_home.communicate(timeout=PATIENCE_S)
    assert (same_home.returncode, f"pid {first.pid}" in said, "ragq down" in said) == (5, True, True)
    same_ports = launch("--role", "proxy", RAGQ_HOME=str(tmp_path / "other"))
    said, _ = same_ports.communicate(timeout=PATIENCE_S)
    assert (same_ports.returncode, "llm front end" in said, "--port-offset" in said) == (3, True, True)


def test_down_stops_the_mesh_of_its_data_directory(launch: Launch, tmp_path: Path) -> None:
    process = launch("--role", "proxy")
    until(process, "Started in")
    command = [sys.executable, str(ROOT / "service.py"), "down", "--data-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"stopped pid {process.pid}\n"
    assert process.wait(timeout=PATIENCE_S) == 0


def test_a_worker_without_its_model_ends_the_start_with_4(launch: Launch, tmp_path: Path) -> None:
    process = launch("--role", "llm", RAGQ_LLM__EMBED__NAME="no-such-model")
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 4
    assert "llm.embed.name: the model 'no-such-model' is neither" in said
    assert "RAGQ_LLM__EMBED__NAME=none" in said


def test_a_role_that_fails_for_good_is_reported_and_the_rest_serves(launch: Launch, tmp_path: Path) -> None:
    process = launch("--role", "proxy", "--role", "index", RAGQ_INDEX__MODULE="no_such_package:Nothing")
    shown = until(process, "Started in")
    assert "index ended: exit code 2: its settings are wrong" in shown
    assert "there is no module 'no_such_package'" in shown
    failed = {record.role: record.state for record in read_roles(Home(tmp_path))}
    assert failed == {"proxy-llm": "running", "proxy-index": "running", "index": "failed"}


def test_wait_ready_ends_with_an_error_when_a_part_fails(launch: Launch) -> None:
    process = launch("--wait-ready", "--role", "proxy", "--role", "index", RAGQ_INDEX__MODULE="no_such_package:Nothing")
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2, said
