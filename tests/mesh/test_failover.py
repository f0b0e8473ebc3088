"""What a client sees of several proxies: one dies, one leaves, one refuses it, or the program itself ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clients import Client, errors
from clients.allowed import Member
from clients.client import connect
from clients.keys import new_pair, read_credential
from clients.settings import load
from clients.waiter import Waiter, waiter
from services.launching.keyring import Keyring
from tests.conftest import ROOT
from tests.mesh.processes import Process, Processes, processes, until
from tests.mesh.trial import COUNT, ECHO, STEP, WAIT, Blob, Count, Wait

pytestmark = pytest.mark.mesh
SLOTS = 40


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path, num_proxies=2, slots=SLOTS) as mesh:
        yield mesh


def start(mesh: Processes) -> list[Process]:
    """Two proxies with a worker each, whichever way workers look for proxies."""
    proxies = [mesh.start("proxy", number=number) for number in range(2)]
    mesh.start("worker")
    mesh.start("worker", backs=mesh.backs[::-1])
    for front in mesh.fronts:
        until(lambda front=front: has_workers(front))
    return proxies


def has_workers(front: str) -> bool:
    with Client(front) as client:
        try:
            return bool(client.status(1.0).workers)
        except errors.RagqError:
            return False


@pytest.fixture
def client(mesh: Processes) -> Iterator[Client]:
    with Client(mesh.fronts, timeout_s=30) as client:
        yield client


def both_hold(mesh: Processes, count: int) -> bool:
    """Whether the proxies have so many calls at work, and each of them some."""
    running = []
    for front in mesh.fronts:
        with Client(front) as client:
            running.append(client.status().running)
    return sum(running) == count and all(running)


def test_calls_are_spread_over_the_proxies(mesh: Processes, client: Client) -> None:
    start(mesh)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(client.call, WAIT, Wait(1.0)) for _ in range(8)]
        until(lambda: both_hold(mesh, 8))
        assert all(call.result().pid for call in calls)


def test_a_killed_proxys_idempotent_calls_are_answered_once_each_by_the_other(mesh: Processes, client: Client) -> None:
    proxies = start(mesh)
    with ThreadPoolExecutor(40) as pool:
        calls = [pool.submit(client.call, WAIT, Wait(2.0)) for _ in range(40)]
        until(lambda: both_hold(mesh, 40))
        proxies[0].kill()
        assert all(call.result().pid for call in calls)
    assert client.call(ECHO, Blob("on")).text == "on"


def test_a_killed_proxys_other_calls_are_lost_and_say_so(mesh: Processes, client: Client, tmp_path: Path) -> None:
    proxies = start(mesh)
    ran = tmp_path / "ran"
    with ThreadPoolExecutor(40) as pool:
        calls = [pool.submit(client.call, STEP, Wait(2.0, str(ran))) for _ in range(40)]
        until(lambda: both_hold(mesh, 40))
        proxies[0].kill()
        outcomes = Counter(type(call.exception()) for call in calls)
    assert set(outcomes) == {type(None), errors.ConnectionLost}
    assert len(ran.read_text().splitlines()) == 40
    assert client.call(STEP, Wait()).pid


def test_a_stream_that_has_begun_is_lost_with_its_proxy(mesh: Processes, client: Client) -> None:
    proxies = start(mesh)
    numbers = client.stream(COUNT, Count(10_000, pause_s=0.01))
    seen = [next(numbers).value for _ in range(5)]
    for proxy in proxies:
        proxy.kill()
    with pytest.raises(errors.ConnectionLost, match="chunks had come"):
        seen += [number.value for number in numbers]
    assert seen == list(range(len(seen)))


def test_a_proxy_that_stands_still_gets_no_new_calls(mesh: Processes, client: Client) -> None:
    proxies = start(mesh)
    with ThreadPoolExecutor(20) as pool:
        held = [pool.submit(client.call, WAIT, Wait(0.5)) for _ in range(10)]
        until(lambda: both_hold(mesh, 10))
        proxies[0].send_signal(signal.SIGSTOP)
        try:
            time.sleep(3.0)
            assert all(client.call(ECHO, Blob(str(i)), timeout_s=20).text == str(i) for i in range(20))
        finally:
            proxies[0].send_signal(signal.SIGCONT)
        assert all(call.result().pid for call in held)


def test_many_threads_that_change_their_minds_lose_nothing(mesh: Processes, client: Client) -> None:
    start(mesh)

    def work(number: int) -> Counter[str]:
        seen: Counter[str] = Counter()
        for i in range(20):
            ours = Waiter()
            token = waiter.set(ours)
            timer = threading.Timer(0.002 * (i % 3), ours.cancel)
            timer.start()
            try:
                text = client.call(ECHO, Blob(f"{number}.{i}")).text
                seen["right" if text == f"{number}.{i}" else "wrong"] += 1
            except errors.Cancelled:
                seen["cancelled"] += 1
            finally:
                waiter.reset(token)
                timer.join()
        return seen

    with ThreadPoolExecutor(32) as pool:
        seen = sum(pool.map(work, range(32)), Counter[str]())
    assert (seen["wrong"], seen.total()) == (0, 640)
    assert seen["cancelled"]
    assert client.call(ECHO, Blob("on")).text == "on"
    for front in mesh.fronts:
        with Client(front) as one:
            until(lambda one=one: one.status().running == one.status().queued == 0)


# -- the program ends, or forks --------------------------------------------------------------------

END = """
import sys, threading, time
from clients import Client
from tests.mesh.trial import COUNT, WAIT, Count, Wait

client = Client(sys.argv[1])
stream = client.stream(COUNT, Count(10_000, pause_s=1.0))
next(stream)
for _ in range(4):
    threading.Thread(target=client.call, args=(WAIT, Wait(60)), daemon=True).start()
time.sleep(0.3)
print(time.monotonic(), flush=True)
"""
FORKS = """
import os, sys, threading
from clients import Client
from tests.mesh.trial import ECHO, WAIT, Blob, Wait

client = Client(sys.argv[1])
client.call(ECHO, Blob())
held = threading.Thread(target=client.call, args=(WAIT, Wait(2.0)))
held.start()
stop = threading.Event()
def load():
    while not stop.is_set():
        client.call(ECHO, Blob("parent"))
loads = [threading.Thread(target=load) for _ in range(4)]
for thread in loads:
    thread.start()
children = []
for number in range(4):
    child = os.fork()
    if child == 0:
        code = client.call(ECHO, Blob("child")).text != "child"
        client.close()
        os._exit(code)
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
stop.set()
for thread in [*loads, held]:
    thread.join()
print(codes, client.call(ECHO, Blob("parent")).text)
"""
INTERRUPTED = """
import signal, sys
from clients import Client
from tests.mesh.trial import ECHO, WAIT, Blob, Wait

client = Client(sys.argv[1])
client.call(ECHO, Blob())
print("waits", flush=True)
try:
    client.call(WAIT, Wait(60), timeout_s=60)
except KeyboardInterrupt:
    print(client.call(ECHO, Blob("interrupted")).text, flush=True)
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with processes(tmp_path_factory.mktemp("small")) as mesh:
        mesh.start_mesh(1)
        yield mesh


def program(code: str, mesh: Processes) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", code, mesh.address]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def test_a_program_that_ends_with_everything_open_ends_within_two_seconds(small: Processes) -> None:
    ending = program(END, small)
    out, error = ending.communicate(timeout=30)
    assert (ending.returncode, error) == (0, "")
    assert time.monotonic() - float(out) < 2 + 8  # what the machine may need besides


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_children_of_a_busy_client_have_clients_of_their_own(small: Processes) -> None:
    forking = program(FORKS, small)
    out, error = forking.communicate(timeout=50)
    assert (out.strip(), error) == ("[0, 0, 0, 0] parent", "")


def test_a_keyboard_interrupt_ends_the_wait_and_cancels_the_call(small: Processes) -> None:
    waiting = program(INTERRUPTED, small)
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "waits\n"
    with Client(small.address) as client:
        until(lambda: client.status().running == 1)
        waiting.send_signal(signal.SIGINT)
        out, error = waiting.communicate(timeout=20)
        assert (out, error) == ("interrupted\n", "")
        until(lambda: client.status().running == 0)


# -- keys ------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path) as mesh:
        settings = json.loads(mesh.path.read_text())
        mesh.path.write_text(json.dumps({**settings, "security": {"enabled": True}}))
        Keyring(load(mesh.path, env={}).config.keys_folder).provide()
        mesh.start("proxy")
        yield mesh


def refusal(call: Callable[[], object]) -> tuple[errors.RagqError, float]:
    began = time.monotonic()
    with pytest.raises(errors.RagqError) as caught:
        call()
    return caught.value, time.monotonic() - began


def test_a_client_with_a_credential_is_let_in(guarded: Processes) -> None:
    config = load(guarded.path, env={}).config
    with connect(config, "trial") as client:
        until(lambda: answers(client))


def answers(client: Client) -> bool:
    try:
        return client.status().service == "trial"
    except errors.RagqError:
        return False


def test_a_client_with_an_unknown_key_is_told_at_once(guarded: Processes, tmp_path: Path) -> None:
    config = load(guarded.path, env={}).config
    known = read_credential(config.keys_folder / "client.key")
    with connect(config, "trial") as client:
        until(lambda: answers(client))
    pair = new_pair()
    stranger = type(known)("stranger", ["client"], pair.public, pair.secret, known.front)
    with Client(guarded.address, credential=stranger) as client:
        for _ in range(2):
            error, took_s = refusal(lambda: client.call(ECHO, Blob()))
            assert isinstance(error, errors.Unauthenticated)
            assert took_s < 1 + 3  # what the machine may need besides


def test_a_client_without_keys_is_told_that_it_needs_some(guarded: Processes) -> None:
    with connect(load(guarded.path, env={}).config, "trial") as client:
        until(lambda: answers(client))
    with Client(guarded.address) as client:
        error, _ = refusal(lambda: client.call(ECHO, Blob()))
    assert isinstance(error, errors.Unauthenticated | errors.Unreachable)
    assert "security" in error.help


def test_a_client_with_keys_is_told_that_the_mesh_has_none(small: Processes, tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keys")
    credential = read_credential(keyring.new(Member("me", "", ["client"])))
    with Client(small.address, credential=credential) as client:
        error, _ = refusal(lambda: client.call(ECHO, Blob()))
    assert isinstance(error, errors.Unauthenticated | errors.Unreachable)
    assert "security" in error.help
