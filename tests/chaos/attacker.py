"""A program that sends messages which are almost right to one side of a proxy, and as much rubbish over bare TCP.

::

    python -m tests.chaos.attacker SIDE ADDRESS SEED

For each line that it reads it sends a thousand messages, waits until the proxy has read them, and
answers with a line.
"""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Callable
from itertools import islice

import zmq

from clients.wire import Envelope, Kind
from tests.mesh.mutations import Message, almost_right
from tests.mesh.raw import SILENCE_MS, raw_dealer

BATCH = 1000
SIDES = {
    "front": (Kind.HELLO, Kind.CALL, Kind.CALL, Kind.CANCEL, Kind.CREDIT, Kind.CHUNK, Kind.END, Kind.PING, Kind.STATUS,
              Kind.WELCOME, Kind.REPLY, Kind.READY, Kind.NACK),
    "back": (Kind.READY, Kind.BEAT, Kind.BEAT, Kind.REPLY, Kind.CHUNK, Kind.END, Kind.ERROR, Kind.CREDIT, Kind.NACK,
             Kind.DRAIN, Kind.PONG, Kind.PING, Kind.HELLO),
}  # fmt: skip
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00"


def batch(side: str, seed: int) -> list[Message]:
    """A thousand messages, made before they are asked for: making them takes more time than reading them."""
    chance = random.Random(seed)
    routes: tuple[Message, ...] = ([], [b""], [b"", b""], [b"route\0\0\0\0"], [b"x"])
    found = islice(almost_right(seed, SIDES[side]), BATCH)
    return [[*chance.choice(routes), *frames] if side == "back" else frames for frames in found]


def attack(dealer: zmq.Socket[bytes], side: str, messages: list[Message]) -> None:
    """Send a batch, and wait for what proves that it was read."""
    for frames in messages:
        dealer.send_multipart(frames)
    if side == "front":
        dealer.send(Envelope(Kind.STATUS, 99_999).encode())
        wait_for(dealer, lambda frames: frames[0][8:16] == (99_999).to_bytes(8, "little"))
    else:
        dealer.send_multipart([b"", Envelope(Kind.BYE, 0).encode()])
        dealer.send_multipart([b"", Envelope(Kind.BEAT, 0, body=b"\x80").encode()])  # we are unknown: who are we?
        wait_for(dealer, lambda frames: frames[-1][3:4] == bytes([Kind.RESET]), last=True)


def wait_for(dealer: zmq.Socket[bytes], is_it: Callable[[Message], bool], *, last: bool = False) -> None:
    found = False
    while dealer.poll(200 if found else SILENCE_MS):
        found = is_it(dealer.recv_multipart()) or found
        if found and not last:
            return
    assert found, "the proxy has stopped answering"


def rubbish(address: str, seed: int) -> None:
    """Bytes that are no ZMTP, or only at first."""
    chance = random.Random(seed)
    host, _, port = address.removeprefix("tcp://").partition(":")
    for beginning in (b"", GREETING[:10], GREETING, GREETING + READY, b"GET / HTTP/1.1\r\n\r\n"):
        with socket.create_connection((host, int(port)), timeout=10) as plain:
            plain.sendall(beginning)
            tail = chance.choice((b"", b"\x02" + b"\xff" * 8, b"\x03\x7f" + b"\xff" * 7, b"\x06\x0c\x0bSUBSCRIBE"))
            plain.sendall(tail + chance.randbytes(chance.choice((0, 1, 9, 300))))


def main(side: str, address: str, seed: str) -> None:
    number = int(seed) * 1_000_000
    messages = batch(side, number)
    with raw_dealer(address) as dealer:
        for _ in sys.stdin:
            attack(dealer, side, messages)
            rubbish(address, number)
            print("done", flush=True)  # noqa: T201 - its only way to answer
            number += 1
            messages = batch(side, number)


if __name__ == "__main__":
    main(*sys.argv[1:])
