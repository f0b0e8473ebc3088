"""How a proxy leaves, and how its successor takes its place."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients import Client, RagqError
from clients.errors import PortBusy
from clients.greetings import Welcome
from clients.packing import unpack
from clients.wire import Envelope, Kind, payload_of
from proxies import lookout
from proxies.proxy import Proxy
from tests.mesh.processes import processes, until
from tests.mesh.proxied import Place, place
from tests.mesh.trial import STEP, WAIT, Wait

pytestmark = pytest.mark.mesh


@pytest.fixture
def here() -> Iterator[Place]:
    with place() as found:
        yield found


def test_a_client_that_says_hello_hears_who_the_proxy_is_and_how_much_it_takes(here: Place) -> None:
    envelope = here.client().hello()
    assert envelope.kind is Kind.WELCOME
    welcome = unpack(Welcome, payload_of(envelope, []))
    assert (welcome.service, bool(welcome.proxy)) == ("trial", True)
    assert welcome.max_calls > 0
    assert welcome.max_bytes > 0


def test_a_proxy_that_leaves_tells_its_clients_and_ends_when_each_has_said_bye(here: Place) -> None:
    client = here.client()
    client.hello()
    here.proxy.stop()
    assert client.next().kind is Kind.BYE
    here.thread.join(0.5)
    assert here.thread.is_alive()
    client.say(Envelope(Kind.BYE, 0).encode())
    here.thread.join(20)
    assert not here.thread.is_alive()


def test_a_proxy_that_leaves_refuses_calls_and_finishes_those_it_has(here: Place) -> None:
    worker, client = here.worker(), here.client()
    client.hello()
    client.call(1)
    route, _ = worker.next()
    here.proxy.stop()
    assert client.next().kind is Kind.BYE
    client.call(2)
    assert client.refusal() == "DRAINING"
    worker.reply(route, 1)
    answer = client.next()
    assert (answer.kind, answer.id) == (Kind.REPLY, 1)


def test_a_proxy_that_leaves_does_not_wait_for_a_client_that_is_gone(here: Place) -> None:
    client = here.client()
    client.hello()
    client.close()
    here.proxy.stop()
    here.thread.join(20)
    assert not here.thread.is_alive()


def test_a_proxy_that_leaves_notices_who_goes_however_lately_it_looked(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "IDLE_PAUSE_S", 1000.0)
    first, second = here.client(), here.client()
    for client in (first, second):
        client.hello()
    first.close()
    until(lambda: here.proxy._lookout._idle_at > time.monotonic() + 500)
    here.proxy.stop()
    assert second.next().kind is Kind.BYE
    second.close()
    here.thread.join(20)
    assert not here.thread.is_alive()


def test_a_proxy_that_leaves_sends_workers_without_calls_away(here: Place) -> None:
    worker, client = here.worker(), here.client()
    client.hello()
    here.proxy.stop()
    assert worker.next()[1].kind is Kind.BYE


def test_being_told_twice_ends_a_proxy_at_once_and_says_so_to_callers(here: Place) -> None:
    worker, client = here.worker(), here.client()
    client.call(1)
    worker.next()
    here.proxy.stop()
    here.proxy.stop()
    assert client.refusal() == "CONNECTION_LOST"
    here.thread.join(20)
    assert not here.thread.is_alive()


def test_nobody_new_comes_to_a_proxy_that_leaves(here: Place) -> None:
    known = here.client()
    known.hello()
    here.proxy.stop()
    assert known.next().kind is Kind.BYE
    late = here.client()
    late.say(Envelope(Kind.PING, 0).encode())
    assert late.is_silent(500)
    known.say(Envelope(Kind.PING, 0).encode())
    assert known.next().kind is Kind.PONG


def test_a_successor_listens_at_the_same_addresses_while_the_first_still_ends(tmp_path: Path) -> None:
    control = f"ipc://{tmp_path}/run/trial-0"
    with place(control=control) as first:
        worker, client = first.worker(), first.client()
        client.hello()
        client.call(1)
        route, _ = worker.next()
        with pytest.raises(PortBusy):
            Proxy("trial", first.front, first.back, control=control)
        first.proxy.stop()
        assert client.next().kind is Kind.BYE
        with place(front=first.front, back=first.back, control=control) as second:
            fresh = second.worker(uuid="fresh")
            for call_id in range(20):
                newcomer = second.client()
                newcomer.call(call_id)
                taken, call = fresh.next()
                fresh.reply(taken, call.id)
                assert newcomer.next().id == call_id
            worker.reply(route, 1)
            assert client.next().kind is Kind.REPLY
            client.say(Envelope(Kind.BYE, 0).encode())
            first.thread.join(20)
            assert not first.thread.is_alive()
            assert (tmp_path / "run" / "trial-0").exists()
            newcomer.call(50)
            assert fresh.next()[1].id == 50


def test_a_socket_file_that_a_crash_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "run" / "trial-0"
    path.parent.mkdir()
    path.touch()
    with place(control=f"ipc://{path}") as here:
        client = here.controller(f"ipc://{path}")
        client.say(Envelope(Kind.PING, 0).encode())
        assert client.next().kind is Kind.PONG
    assert not path.exists()


def calls_in_a_row(client: Client, stopped: threading.Event, failures: list[RagqError], num: list[int]) -> None:
    """Call one method that may run twice and one that may not, in turns, until it is enough."""
    while not stopped.wait(0.005):
        method = (WAIT, STEP)[num[0] % 2]
        try:
            client.call(method, Wait(0.01))
        except RagqError as error:
            failures.append(error)
        num[0] += 1


def test_a_planned_restart_loses_no_call_of_any_kind(tmp_path: Path) -> None:
    with processes(tmp_path) as mesh:
        first, _ = mesh.start_mesh(2)
        failures: list[RagqError] = []
        stopped, num = threading.Event(), [0]
        caller = threading.Thread(target=calls_in_a_row, args=(mesh.client(40.0), stopped, failures, num))
        caller.start()
        until(lambda: num[0] > 20)
        for _ in range(2):
            first.send_signal(signal.SIGTERM)
            second = mesh.start("proxy")
            assert first.wait(40) == 0
            mesh.wait_workers(2)
            so_far = num[0]
            until(lambda so_far=so_far: num[0] > so_far + 10)  # type: ignore[misc]
            first = second
        stopped.set()
        caller.join(45)
        assert failures == []
