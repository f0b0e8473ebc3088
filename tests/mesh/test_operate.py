"""Can a mesh of several proxies be started, watched and kept running?"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest

from clients import Client
from clients.llm import EMBED, Embed
from services.launching.home import Home, read_roles
from tests.conftest import ROOT, TOY, LiveMesh, environment, free_ports, merged, start_mesh
from tests.unit.http.reader import read

pytestmark = pytest.mark.mesh


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveMesh]:
    """An LLM service behind two proxies, and the HTTP face."""
    front, back = free_ports(2)
    proxies = [f"tcp://127.0.0.1:{front} tcp://127.0.0.1:{back}"]
    settings = merged(TOY, {"index": {"enabled": False}, "llm": {"proxies": proxies}})
    live = start_mesh(tmp_path_factory.mktemp("pair"), settings, ["proxy", "llm", "http"])
    try:
        live.wait_ready()
        yield live
    finally:
        live.stop()


def test_one_launcher_runs_both_proxies_of_a_service(pair: LiveMesh) -> None:
    states = {record.role: record.state for record in read_roles(Home(pair.home))}
    assert states == {"proxy-llm": "running", "proxy-llm-1": "running", "llm": "running", "http": "running"}
    pids = set()
    for address in pair.client().config.llm.fronts:
        with Client(address) as client:
            pids.add(client.status().pid)
    assert pids == {record.pid for record in read_roles(Home(pair.home)) if record.role.startswith("proxy-")}


def test_status_shows_both_proxies_and_a_worker_once(pair: LiveMesh) -> None:
    done = pair.run("status", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    views = [(p["service"], p["number"], p["status"]["state"]) for p in found["proxies"]]
    assert views == [("llm", 0, "ready"), ("llm", 1, "ready")]
    assert len(found["services"][0]["workers"]) == 1
    assert "llm 1" in pair.run("status").stdout


def test_top_prints_once_where_there_is_no_terminal(pair: LiveMesh) -> None:
    shown = pair.run("top").stdout
    assert [line.split()[0] for line in shown.splitlines() if line and line.isupper()] != []
    board = json.loads(pair.run("top", "--json").stdout)
    assert [proxy["state"] for proxy in board["proxies"]] == ["ready", "ready"]


def test_top_leaves_the_terminal_as_it_was(pair: LiveMesh) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, str(ROOT / "service.py"), "top", "--config", str(pair.config)]
    env = {**environment(pair.home), "TERM": "xterm"}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    shown = b""
    while b"PROXY" not in shown:
        shown += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    with suppress(OSError):  # the other end was closed
        while more := os.read(ours, 4096):
            shown += more
    os.close(ours)
    assert process.wait(20) == 0
    enter, leave, hide, show = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25l", b"\x1b[?25h"
    assert shown.rindex(enter) < shown.rindex(leave)
    assert shown.rindex(hide) < shown.rindex(show)


def test_any_method_can_be_called_by_name(pair: LiveMesh) -> None:
    reply = json.loads(pair.run("call", "llm.embed", '{"texts": ["one"]}').stdout)
    assert len(reply["vectors"]) == 1
    lines = pair.run("call", "llm.generate", '{"prompt": "hello", "max_tokens": 4}').stdout.splitlines()
    assert "finish_reason" in json.loads(lines[-1])


def pids(live: LiveMesh) -> dict[str, int]:
    return {record.role: record.pid for record in read_roles(Home(live.home))}


def test_a_rolling_restart_replaces_every_process_while_calls_go_on(pair: LiveMesh) -> None:
    before, fronts = pids(pair), pair.client().config.llm.fronts
    with Client(fronts, timeout_s=30.0) as client:
        ended, answered = threading.Event(), 0

        def ask() -> int:
            count = 0
            while not ended.is_set():
                client.call(EMBED, Embed(["one"]))
                count += 1
            return count

        with ThreadPoolExecutor(2) as threads:
            callers = [threads.submit(ask) for _ in range(2)]
            done = pair.run("restart")
            ended.set()
            answered = sum(caller.result(30) for caller in callers)
    assert done.returncode == 0, done.stderr
    after = pids(pair)
    assert done.stdout.splitlines() == [
        line for name in before for line in (f"{name}: pid {before[name]} ends", f"{name}: pid {after[name]} serves")
    ]
    assert not set(before.values()) & set(after.values())
    assert answered > 0


def test_what_was_drained_comes_back_when_it_is_asked_to(pair: LiveMesh) -> None:
    worker = pids(pair)["llm"]
    assert pair.run("drain", "--worker", str(worker)).stdout == f"llm: pid {worker} ends\nllm: stopped\n"
    assert pids(pair)["llm"] == 0
    assert pair.run("drain", "llm", "--number", "1").stdout.endswith("proxy-llm-1: stopped\n")
    status = pair.run("status", "--json")
    assert (status.returncode, json.loads(status.stdout)["proxies"][1]["status"]["state"]) == (1, "down")
    done = pair.run("restart", "llm")
    assert done.returncode == 0, done.stderr
    assert pair.run("status").returncode == 0


def test_an_order_that_makes_no_sense_says_why(pair: LiveMesh) -> None:
    done = pair.run("restart", "lmm")
    assert (done.returncode, "did you mean 'llm'?" in done.stderr) == (1, True)
    done = pair.run("drain", "llm", "--number", "7")
    assert (done.returncode, "its numbers are 0, 1" in done.stderr) == (1, True)
    done = pair.run("drain", "--worker", "999999999")
    assert (done.returncode, "no worker is called" in done.stderr) == (1, True)
    assert pair.run("drain").returncode == 2


def test_the_proxies_log_who_came_and_who_left(pair: LiveMesh) -> None:
    done = pair.run("logs", "proxy-llm-1", "-n", "1000", "--json")
    said = [(record["role"], record["text"]) for record in json.loads(done.stdout) if record["logger"] == "ragq.proxy"]
    assert {role for role, _ in said} == {"proxy-llm-1"}
    assert any("came; it takes" in text for _, text in said)


def test_prometheus_gets_what_both_proxies_counted(pair: LiveMesh) -> None:
    pair.client().llm.embed(["one"])
    url = f"http://127.0.0.1:{pair.http_port}/metrics"
    first, second = (read(httpx.get(url, timeout=20).text) for _ in range(2))
    for proxy in ("0", "1"):
        assert first.value("ragq_up", service="llm", proxy=proxy) == 1
        assert first.value("ragq_slots", service="llm", proxy=proxy) > 0
    for key, value in first.values.items():
        if key[0].endswith(("_total", "_bucket", "_count", "_sum")):
            assert second.values[key] >= value, key
    ended = {labels for name, labels in first.values if name == "ragq_method_calls_total"}
    assert any(("method", "llm.embed") in labels for labels in ended)


def test_built_in_methods_can_be_called_of_any_service(pair: LiveMesh) -> None:
    assert json.loads(pair.run("call", "llm._sys.health").stdout)["state"] == "ready"
    assert json.loads(pair.run("call", "llm._sys.stats").stdout)["slots"] > 0
