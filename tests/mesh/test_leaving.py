"""A hand-made proxy leaves as planned: what its client says, and where the client's calls go."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pytest
import zmq

from clients import Client, sockets
from clients.errors import Draining, PortBusy
from clients.greetings import Welcome
from clients.packing import pack
from clients.wire import Envelope, Kind, decode, failure_envelope
from tests.conftest import free_ports
from tests.mesh.processes import until
from tests.mesh.trial import STEP, Wait, Who

pytestmark = pytest.mark.mesh


class HandMade:
    """A proxy that answers its calls when told to, and writes down what its client says."""

    def __init__(self, address: str, number: int) -> None:
        self.number = number
        self.said: dict[bytes, list[Kind]] = {}
        self.held: list[tuple[bytes, int]] = []
        self._socket = sockets.router(address)
        self._orders: list[str] = []
        self._is_leaving = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def order(self, order: str) -> None:
        """``leave``, ``answer`` or ``end``."""
        self._orders.append(order)

    def end(self) -> None:
        """Close, with what was not answered."""
        self.order("end")
        self._thread.join(10)

    def _run(self) -> None:
        while True:
            if self._socket.poll(20):
                peer, frame, *_ = self._socket.recv_multipart()
                self._hear(peer, decode(frame))
            while self._orders:
                if self._obey(self._orders.pop(0)):
                    return

    def _hear(self, peer: bytes, envelope: Envelope) -> None:
        self.said.setdefault(peer, []).append(envelope.kind)
        if envelope.kind is Kind.HELLO:
            welcome = Envelope(Kind.WELCOME, 0, body=pack(Welcome(str(self.number), "trial")).body)
            self._send(peer, Envelope(Kind.BYE, 0) if self._is_leaving else welcome)
        if envelope.kind is Kind.CALL and self._is_leaving:
            self._send(peer, failure_envelope(envelope.id, Draining("leaving"), "proxy"))
        elif envelope.kind is Kind.CALL:
            self.held.append((peer, envelope.id))

    def _obey(self, order: str) -> bool:
        if order == "leave":
            self._is_leaving = True
            for peer in self.said:
                self._send(peer, Envelope(Kind.BYE, 0))
        elif order == "answer":
            for peer, call_id in self.held:
                self._send(peer, Envelope(Kind.REPLY, call_id, body=pack(Who(self.number)).body))
            self.held.clear()
        else:
            self._socket.close(0)
        return order == "end"

    def _send(self, peer: bytes, envelope: Envelope) -> None:
        with suppress(zmq.ZMQError):  # the client has left already
            self._socket.send_multipart([peer, envelope.encode()])


@pytest.fixture
def addresses() -> list[str]:
    return [f"tcp://127.0.0.1:{port}" for port in free_ports(2)]


def held_by_first(pool: ThreadPoolExecutor, client: Client, first: HandMade) -> list[Future[Who]]:
    calls = [pool.submit(client.call, STEP, Wait()) for _ in range(4)]
    until(lambda: len(first.held) == 4)
    first.order("leave")
    time.sleep(0.3)
    return calls


def at_last(address: str, number: int) -> HandMade:
    """A proxy at an address that another one has just closed; the system may need a moment to notice."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return HandMade(address, number)
        except PortBusy:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_proxy_that_leaves_finishes_its_calls_and_the_other_gets_the_new_ones(addresses: list[str]) -> None:
    first = HandMade(addresses[0], 1)
    with Client(addresses) as client, ThreadPoolExecutor(8) as pool:
        old = held_by_first(pool, client, first)
        other = HandMade(addresses[1], 2)
        new = [pool.submit(client.call, STEP, Wait()) for _ in range(4)]
        until(lambda: len(other.held) == 4)
        (said,) = [kinds for kinds in first.said.values() if Kind.CALL in kinds]
        assert said == [Kind.HELLO] + [Kind.CALL] * 4
        other.order("answer")
        first.order("answer")
        assert {call.result(20).pid for call in new} == {2}
        assert {call.result(20).pid for call in old} == {1}
        until(lambda: said[-1] is Kind.BYE)
    for proxy in (first, other):
        proxy.end()


def test_the_only_proxy_leaves_and_its_successor_gets_what_came_meanwhile(addresses: list[str]) -> None:
    first = HandMade(addresses[0], 1)
    with Client(addresses[0]) as client, ThreadPoolExecutor(8) as pool:
        old = held_by_first(pool, client, first)
        new = [pool.submit(client.call, STEP, Wait()) for _ in range(4)]
        time.sleep(0.5)
        first.order("answer")
        assert {call.result(20).pid for call in old} == {1}
        first.end()
        successor = at_last(addresses[0], 2)
        until(lambda: len(successor.held) == 4)
        successor.order("answer")
        assert {call.result(20).pid for call in new} == {2}
    successor.end()


def test_an_idle_client_says_bye_at_once(addresses: list[str]) -> None:
    proxy = HandMade(addresses[0], 1)
    with Client(addresses[0]) as client, ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.call, STEP, Wait())
        until(lambda: len(proxy.held) == 1)
        proxy.order("answer")
        assert call.result(20).pid == 1
        (said,) = proxy.said.values()
        proxy.order("leave")
        until(lambda: said == [Kind.HELLO, Kind.CALL, Kind.BYE])
    proxy.end()
