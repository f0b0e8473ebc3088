"""Peers made by hand: sockets that send any frames, and what they hear."""

from __future__ import annotations

import random
from collections.abc import Iterator

import zmq

from clients import sockets
from clients.wire import Envelope, Kind, decode
from tests.mesh.trial import ECHO

SILENCE_MS = 30_000


def raw_dealer(address: str) -> zmq.Socket[bytes]:
    """A DEALER with none of our options."""
    dealer = sockets.context().socket(zmq.DEALER)
    dealer.set(zmq.LINGER, 1000)
    dealer.set(zmq.SNDHWM, 0)
    dealer.set(zmq.RCVHWM, 0)
    dealer.connect(address)
    return dealer


def answer_from(dealer: zmq.Socket[bytes]) -> Envelope:
    """The next message of a proxy that is no PING."""
    while True:
        assert dealer.poll(SILENCE_MS), "the proxy has stopped answering"
        envelope = decode(dealer.recv_multipart()[0])
        if envelope.kind is not Kind.PING:
            return envelope


def is_status(dealer: zmq.Socket[bytes]) -> bool:
    """Whether the next message answers the STATUS with the id 99."""
    assert dealer.poll(SILENCE_MS), "the proxy has stopped answering"
    head = dealer.recv_multipart()[0]
    return head != b"" and decode(head).id == 99


def greeted(router: zmq.Socket[bytes]) -> bytes:
    """The routing id of the first worker that offers itself to a proxy made by hand."""
    while True:
        assert router.poll(SILENCE_MS)
        worker, route, *frames = router.recv_multipart()
        if route == b"" and decode(frames[0]).kind is Kind.READY:
            return worker


def answer_to(router: zmq.Socket[bytes], route: bytes, call_id: int) -> Envelope:
    """What a worker answers to one call of a proxy made by hand."""
    while True:
        assert router.poll(SILENCE_MS), "the worker has stopped answering"
        frames = router.recv_multipart()
        if frames[1] == route and decode(frames[2]).id == call_id:
            return decode(frames[2])


def odd_messages(seed: int) -> Iterator[list[bytes]]:
    """Messages that are wrong in one way each, and many that are wrong at random."""
    fine = Envelope(Kind.CALL, 7, method=ECHO.key, ttl_ms=1000).encode()
    yield [b""]
    yield [b"", b""]
    yield [b"RQ"]
    yield [fine[:31]]
    yield [b"XX" + fine[2:]]
    yield [fine[:2] + b"\x02" + fine[3:]]
    yield [fine[:3] + b"\xff" + fine[4:]]
    yield [fine[:28] + b"\xff\xff\xff\x00"]
    yield [fine[:31] + b"\xff"]
    yield [fine[:31] + b"\x02", b"one buffer of two"]
    yield [fine, b"a buffer too many"]
    yield [fine + b"\xc1"]
    yield [b"\0" * (2 << 20)]
    yield [fine[:31] + b"\x0a", *[b"\0" * (1 << 20)] * 10]
    for kind in range(256):
        yield [fine[:3] + bytes([kind]) + fine[4:]]
    chance = random.Random(seed)
    for _ in range(500):
        yield [chance.randbytes(chance.choice([0, 1, 31, 32, 33, 200])) for _ in range(chance.randint(1, 4))]
        yield [fine[:8] + chance.randbytes(40), *[b"x"] * chance.randint(0, 3)]
