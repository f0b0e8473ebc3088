"""The relay does what its toxics say, and nothing without them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.chaos.relay import Relay, relay
from tests.mesh.processes import until

pytestmark = pytest.mark.chaos


def echo(server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            peer, _ = server.accept()
            threading.Thread(target=echo_one, args=(peer,), daemon=True).start()


def echo_one(peer: socket.socket) -> None:
    with peer, suppress(OSError):
        while data := peer.recv(65536):
            peer.sendall(data)
        peer.sendall(b"end")


@pytest.fixture
def between() -> Iterator[Relay]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=echo, args=(server,), daemon=True).start()
        with relay(server.getsockname()[1]) as between:
            yield between


@pytest.fixture
def caller(between: Relay) -> Iterator[socket.socket]:
    host, _, port = between.address.removeprefix("tcp://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as caller:
        yield caller


def back(caller: socket.socket, num_bytes: int) -> bytes:
    data = b""
    while len(data) < num_bytes and (piece := caller.recv(65536)):
        data += piece
    return data


def test_bytes_pass_as_they_are(caller: socket.socket) -> None:
    sent = bytes(range(256)) * 4096
    threading.Thread(target=caller.sendall, args=(sent,)).start()
    assert back(caller, len(sent)) == sent


def test_an_end_passes_too(caller: socket.socket) -> None:
    caller.sendall(b"x")
    caller.shutdown(socket.SHUT_WR)
    assert back(caller, 100) == b"xend"


def test_bytes_pass_one_by_one(between: Relay, caller: socket.socket) -> None:
    between.up.piece = between.down.piece = 1
    caller.sendall(b"0123456789")
    assert back(caller, 10) == b"0123456789"


def test_latency_holds_bytes_and_does_not_slow_their_flow(between: Relay, caller: socket.socket) -> None:
    between.up.latency_s, between.up.jitter_s = 0.2, 0.01
    began = time.monotonic()
    for _ in range(20):
        caller.sendall(b"x")
        time.sleep(0.01)
    assert back(caller, 20) == b"x" * 20
    assert 0.2 < time.monotonic() - began < 0.2 * 20


def test_a_rate_slows_the_flow(between: Relay, caller: socket.socket) -> None:
    between.up.rate, between.up.piece = 1e6, 10_000
    began = time.monotonic()
    caller.sendall(bytes(200_000))
    assert len(back(caller, 200_000)) == 200_000
    assert time.monotonic() - began > 0.19


@pytest.mark.parametrize("way", ["up", "down"])
def test_what_is_sent_in_the_dark_arrives_when_it_is_light_again(
    between: Relay, caller: socket.socket, way: str
) -> None:
    getattr(between, way).is_dark = True
    caller.sendall(b"x")
    caller.settimeout(0.3)
    with pytest.raises(TimeoutError):
        caller.recv(1)
    between.heal()
    caller.settimeout(10)
    assert caller.recv(1) == b"x"


def test_a_reset_breaks_the_connection(between: Relay, caller: socket.socket) -> None:
    caller.sendall(b"x")
    assert caller.recv(1) == b"x"
    between.reset()
    with pytest.raises(ConnectionResetError):
        caller.recv(1)


def test_a_forgotten_connection_is_silent_and_a_new_one_is_not(between: Relay, caller: socket.socket) -> None:
    caller.sendall(b"x")
    assert caller.recv(1) == b"x"
    between.forget()
    caller.sendall(b"y")
    caller.settimeout(0.3)
    with pytest.raises(TimeoutError):
        caller.recv(1)
    with socket.create_connection(caller.getpeername(), timeout=10) as another:
        another.sendall(b"z")
        assert another.recv(1) == b"z"


def test_a_limit_ends_a_connection_after_so_many_bytes(between: Relay, caller: socket.socket) -> None:
    between.up.limit, between.up.piece = 1000, 100
    with suppress(OSError):  # it may break while we still write
        caller.sendall(bytes(100_000))
    with suppress(OSError):
        assert len(back(caller, 100_000)) <= 1000
    assert between.num_passages == 1


def test_a_half_closed_connection_still_answers(between: Relay, caller: socket.socket) -> None:
    caller.sendall(b"x")
    assert caller.recv(1) == b"x"
    between.half_close()
    assert back(caller, 3) == b"end"


def test_a_port_without_a_listener_closes_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with relay(port) as between:
        host, _, near = between.address.removeprefix("tcp://").partition(":")
        with socket.create_connection((host, int(near)), timeout=10) as caller, suppress(ConnectionResetError):
            assert caller.recv(1) == b""
        until(lambda: between.num_passages == 0)
