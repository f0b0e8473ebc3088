"""The gate of a proxy: what it answers to libzmq, with real CURVE handshakes, and what it tells."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zmq
from zmq.utils import z85

from clients import sockets
from clients.allowed import Member, write_allowed
from clients.errors import ConfigError, PortBusy
from clients.keys import KeyPair, new_pair, write
from proxies.access import Access
from proxies.gate import Gate, verdict

HERS, HIS = new_pair(), new_pair()
ALICE = Member("alice", HERS.public, ["client"])
BOB = Member("bob", HIS.public, ["worker"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "front.key", new_pair())
    write(tmp_path / "back.key", new_pair())
    write_allowed(tmp_path / "allowed.yml", [ALICE, BOB])
    return tmp_path


@pytest.fixture
def gate(folder: Path) -> Iterator[Gate]:
    gate = Gate(folder)
    yield gate
    gate.close()


def request(key: bytes, domain: bytes = b"clients", mechanism: bytes = b"CURVE") -> list[bytes]:
    return [b"1.0", b"7", domain, b"10.0.0.9", b"", mechanism, key]


def test_a_listed_key_is_let_in_under_its_public_key() -> None:
    reply, refusal = verdict(request(z85.decode(HERS.public)), Access([ALICE]))
    assert reply == [b"1.0", b"7", b"200", b"OK", HERS.public.encode(), b""]
    assert refusal == ""


@pytest.mark.parametrize(
    "asked",
    [
        request(z85.decode(HIS.public)),
        request(z85.decode(HERS.public), b"workers"),
        request(z85.decode(HERS.public), b"nowhere"),
        request(z85.decode(HERS.public), b""),
        request(z85.decode(HERS.public), mechanism=b"NULL"),
        request(b"short"),
        request(b"")[:-1],
    ],
)
def test_whoever_does_not_belong_there_is_refused(asked: list[bytes]) -> None:
    reply, refusal = verdict(asked, Access([ALICE, BOB]))
    assert (reply[1], reply[2], reply[4]) == (b"7", b"400", b"")
    assert "from 10.0.0.9" in refusal


def test_a_refusal_names_the_name_and_never_the_key() -> None:
    revoked = replace(ALICE, revoked="2026-11-03T10:00:00+00:00")
    _, refusal = verdict(request(z85.decode(HERS.public)), Access([revoked]))
    assert "'alice'" in refusal
    assert HERS.public not in refusal


def dealer(pair: KeyPair, server: str, address: str) -> zmq.Socket[bytes]:
    socket = sockets.opened(zmq.DEALER, 0)
    socket.set(zmq.CURVE_PUBLICKEY, pair.public.encode())
    socket.set(zmq.CURVE_SECRETKEY, pair.secret.encode())
    socket.set(zmq.CURVE_SERVERKEY, server.encode())
    socket.connect(address)
    return socket


@pytest.fixture
def front(gate: Gate) -> Iterator[tuple[zmq.Socket[bytes], str]]:
    socket = sockets.opened(zmq.ROUTER, 0)
    socket.set(zmq.CURVE_SERVER, 1)
    socket.set(zmq.CURVE_SECRETKEY, gate.front.secret.encode())
    socket.set(zmq.ZAP_DOMAIN, b"clients")
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    yield socket, f"tcp://127.0.0.1:{port}"
    socket.close()


def test_a_message_carries_the_key_of_whoever_sent_it(gate: Gate, front: tuple[zmq.Socket[bytes], str]) -> None:
    router, address = front
    client = dealer(HERS, gate.front.public, address)
    try:
        client.send(b"hello")
        assert gate.socket.poll(20_000)
        gate.answer(0.0)
        assert router.poll(20_000)
        routing_id, _ = router.recv_multipart(copy=False)
        assert routing_id.get("User-Id") == HERS.public
    finally:
        client.close()


def test_nobody_is_refused_for_a_list_that_is_out_of_date(
    gate: Gate, folder: Path, front: tuple[zmq.Socket[bytes], str]
) -> None:
    pair = new_pair()
    assert not gate.refresh(10.0)
    write_allowed(folder / "allowed.yml", [Member("new", pair.public, ["client"])])
    client = dealer(pair, gate.front.public, front[1])
    monitor = client.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_SUCCEEDED)
    try:
        assert gate.socket.poll(20_000)
        assert gate.answer(10.1)
        assert monitor.poll(20_000)
        assert int.from_bytes(monitor.recv_multipart()[0][:2], "little") == zmq.EVENT_HANDSHAKE_SUCCEEDED
    finally:
        client.disable_monitor()
        monitor.close(0)
        client.close()


def test_a_key_of_no_one_hears_that_it_is_refused(
    gate: Gate, front: tuple[zmq.Socket[bytes], str], caplog: pytest.LogCaptureFixture
) -> None:
    client = dealer(new_pair(), gate.front.public, front[1])
    monitor = client.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_SUCCEEDED)
    try:
        assert gate.socket.poll(20_000)
        with caplog.at_level(logging.WARNING, "ragq.proxy"):
            gate.answer(0.0)
        assert monitor.poll(20_000)
        event, _ = monitor.recv_multipart()
        assert int.from_bytes(event[:2], "little") == zmq.EVENT_HANDSHAKE_FAILED_AUTH
        assert "not on the list" in caplog.text
        assert gate.num_refused > 0
    finally:
        client.disable_monitor()
        monitor.close(0)
        client.close()


def test_one_process_has_one_gate(gate: Gate, folder: Path) -> None:
    with pytest.raises(PortBusy):
        Gate(folder)


def test_a_gate_without_keys_says_how_to_make_them(folder: Path) -> None:
    (folder / "back.key").unlink()
    with pytest.raises(ConfigError) as caught:
        Gate(folder)
    assert "back.key" in caught.value.message
    assert "ragq keys new" in caught.value.help
