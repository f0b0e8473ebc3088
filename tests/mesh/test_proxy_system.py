"""What a proxy answers itself, at its front and at its control socket."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients import Client
from clients.errors import Forbidden, UnknownMethod
from clients.status import ServiceStats
from clients.system import DESCRIBE, DRAIN, ECHO, HEALTH, LOST, STATS, Echo, Lost
from clients.wire import Flag, Kind, Nothing
from tests.mesh.processes import until
from tests.mesh.proxied import METHOD, Place, place
from tests.mesh.trial import ECHO as TRIAL_ECHO
from tests.mesh.trial import Blob

pytestmark = pytest.mark.mesh


@pytest.fixture
def control(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/run/trial-0"


@pytest.fixture
def here(control: str) -> Iterator[Place]:
    with place(control=control) as found:
        yield found


@pytest.fixture(params=["front", "control"])
def client(here: Place, control: str, request: pytest.FixtureRequest) -> Iterator[Client]:
    with Client(here.front if request.param == "front" else control) as found:
        yield found


def test_anyone_may_ask_how_a_proxy_is(here: Place, client: Client) -> None:
    health = client.call(HEALTH, Nothing())
    assert (health.service, health.state, health.pid, health.num_workers) == ("trial", "starting", os.getpid(), 0)
    here.worker()
    assert client.call(HEALTH, Nothing()).state == "ready"


def test_anyone_may_ask_what_can_be_called(here: Place, client: Client) -> None:
    assert client.call(DESCRIBE, Nothing()).methods == []
    here.worker()
    description = client.call(DESCRIBE, Nothing())
    assert (description.methods, description.protocol) == ([METHOD], 1)


def test_anyone_may_ask_what_was_counted(here: Place, client: Client) -> None:
    stats = client.call(STATS, Nothing())
    assert isinstance(stats, ServiceStats)
    assert (stats.calls, stats.service) == (0, "trial")


@pytest.mark.parametrize("size", [0, 100, 100_000, 3_000_000])
def test_an_echo_comes_back_whatever_its_size(client: Client, size: int) -> None:
    data = os.urandom(size)
    assert client.call(ECHO, Echo(data)).data == data


def test_orders_are_for_administrators(here: Place) -> None:
    with Client(here.front) as client:
        with pytest.raises(Forbidden, match="administrators"):
            client.call(DRAIN, Nothing())
        with pytest.raises(Forbidden):
            client.call(LOST, Lost(1, "host"))
    assert here.thread.is_alive()


def test_a_control_socket_answers_nothing_but_built_in_methods(here: Place, control: str) -> None:
    with Client(control) as client, pytest.raises(UnknownMethod):
        client.call(TRIAL_ECHO, Blob())


def test_an_order_at_the_control_socket_makes_a_proxy_leave(here: Place, control: str) -> None:
    with Client(control) as client:
        client.call(DRAIN, Nothing())
    here.thread.join(20)
    assert not here.thread.is_alive()
    assert not Path(control.removeprefix("ipc://")).exists()


def test_a_worker_whose_process_has_ended_is_given_up_at_once(here: Place, control: str) -> None:
    worker, other, caller = here.worker(pid=7), here.worker(uuid="other", pid=8), here.client()
    caller.call(1, flags=Flag.IDEMPOTENT)
    until(lambda: worker.socket.poll(0) != 0 or other.socket.poll(0) != 0)
    holder, heir, pid = (worker, other, 7) if worker.socket.poll(0) else (other, worker, 8)
    assert holder.next()[1].id == 1
    with Client(control) as client:
        client.call(LOST, Lost(pid, "elsewhere"))
        assert client.call(HEALTH, Nothing()).num_workers == 2
        client.call(LOST, Lost(pid, "host"))
        assert client.call(HEALTH, Nothing()).num_workers == 1
    route, call = heir.next()
    heir.reply(route, call.id)
    assert caller.next().kind is Kind.REPLY


def test_only_the_owner_may_open_the_directory_of_a_control_socket(here: Place, control: str) -> None:
    folder = Path(control.removeprefix("ipc://")).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_nonsense_at_the_control_socket_is_answered(here: Place, control: str) -> None:
    peer = here.controller(control)
    for frames in ([b""], [b"x"], [b"", b"x"], [b"R" * 40]):
        peer.say(*frames)
        assert peer.refusal() in {"MALFORMED", "VERSION"}
