"""Messages that are almost right: one of every kind, and what becomes of it by a few mutations."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from clients.errors import Busy
from clients.greetings import Beat, Hello, Ready, Welcome
from clients.packing import MAX_BUFFERS, pack
from clients.wire import HEADER, Envelope, Flag, Kind, failure_envelope, message
from tests.mesh.trial import COUNT, ECHO, FAIL, WAIT, Blob, Count, Fail, Number, Wait

Message = list[bytes]
Mutation = Callable[[Message, random.Random], None]
IDS = 8
EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
BOMBS = (
    b"\xc1", b"\x90" * 5000, b"\x80" * 5000, b"\x91" * 5000, b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x01", b"\x81\x01\x02", b"\x81\xa1a",
    b"\x81\xa4text\xa2\xff\xfe", b"\x82\xa1a\x01\xa1a\x02", b"\xcb\x7f\xf8" + bytes(6), b"\xcf" + b"\xff" * 8,
    b"\x81\xa6__nd__\x94\xa3<f4\x92\xce\xff\xff\xff\xff\xce\xff\xff\xff\xff\x00\x01",
    b"\x81\xa6__nd__\x93\xa2|O\x91\x01\xc4\x08" + bytes(8), b"\x81\xa9__bytes__\x92\x00\xce\x7f\xff\xff\xff",
    b"\x81\xa8__body__\x92\x00\x01", b"\x81\xa8__body__\x92\xff\x01",
)  # fmt: skip


def fine(kind: Kind, call_id: int = 1) -> Message:
    """A message of ``kind`` as it should be; no worker serves the methods of its READY."""
    ready = Ready("u" * 32, 1, "elsewhere", "trial", ["trial.unserved"], 1)
    bodies: dict[Kind, object] = {
        Kind.HELLO: Hello("0", "host", 1), Kind.WELCOME: Welcome("p" * 32, "trial", 256, 1 << 26),
        Kind.CALL: Wait(0.0), Kind.REPLY: Blob("text", b"data"), Kind.CHUNK: Number(0, b"data"),
        Kind.READY: ready, Kind.BEAT: Beat([(b"route\0\0\0\0", 1)], 1, "note"),
    }  # fmt: skip
    if kind is Kind.ERROR:
        return [failure_envelope(call_id, Busy("as asked"), "proxy").encode()]
    head = Envelope(kind, call_id, method=WAIT.key if kind is Kind.CALL else 0, ttl_ms=1000, seq=1)
    return [bytes(frame) for frame in message(head, pack(bodies[kind]))] if kind in bodies else [head.encode()]


def calls(call_id: int) -> list[Message]:
    """Calls of several shapes, one with buffers, one that wants a stream."""
    return [
        _call(Envelope(Kind.CALL, call_id, Flag.IDEMPOTENT, method=ECHO.key, ttl_ms=500), Blob("x", bytes(70_000))),
        _call(Envelope(Kind.CALL, call_id, Flag.WANTS_STREAM, method=COUNT.key, ttl_ms=500, seq=4), Count(20)),
        _call(Envelope(Kind.CALL, call_id, Flag.STREAMS_INPUT, method=COUNT.key, ttl_ms=500, seq=4), Count(3)),
        _call(Envelope(Kind.CALL, call_id, Flag.BULK, method=FAIL.key, ttl_ms=500, trace=bytes(26)), Fail("NotFound")),
    ]


def _call(head: Envelope, request: object) -> Message:
    return [bytes(frame) for frame in message(head, pack(request))]


def almost_right(seed: int, kinds: tuple[Kind, ...] = tuple(Kind)) -> Iterator[Message]:
    """Messages without end; ids are few, so that they meet calls that are under way and calls that have ended."""
    chance = random.Random(seed)
    while True:
        call_id = chance.randrange(1, IDS)
        kind = chance.choice(kinds)
        found = chance.choice(calls(call_id)) if kind is Kind.CALL and chance.random() < 0.6 else fine(kind, call_id)
        for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
            chance.choice(MUTATIONS)(found, chance)
        yield found


def _field(found: Message, chance: random.Random) -> None:
    """Another value in one field of the header."""
    head = bytearray(found[0].ljust(HEADER.size, b"\0"))
    begin, size = chance.choice(
        ((0, 2), (2, 1), (3, 1), (4, 2), (6, 1), (7, 1), (8, 8), (16, 4), (20, 4), (24, 4), (28, 4))
    )
    value = chance.choice(EDGES) if chance.random() < 0.7 else chance.getrandbits(8 * size)
    head[begin : begin + size] = (value % (1 << 8 * size)).to_bytes(size, "little")
    found[0] = bytes(head)


def _kind(found: Message, chance: random.Random) -> None:
    found[0] = found[0][:3] + bytes([chance.choice([*Kind, chance.randrange(256)])]) + found[0][4:]


def _flip(found: Message, chance: random.Random) -> None:
    number = chance.randrange(len(found))
    frame = bytearray(found[number])
    for _ in range(chance.randint(1, 4) if frame else 0):
        frame[chance.randrange(len(frame))] = chance.randrange(256)
    found[number] = bytes(frame)


def _cut(found: Message, chance: random.Random) -> None:
    number = chance.randrange(len(found))
    found[number] = found[number][: chance.randint(0, len(found[number]))]


def _grow(found: Message, chance: random.Random) -> None:
    number = chance.randrange(len(found))
    found[number] += chance.randbytes(chance.choice((1, 31, 1000, 70_000)))


def _body(found: Message, chance: random.Random) -> None:
    found[0] = found[0][: HEADER.size] + chance.choice(BOMBS)


def _meta(found: Message, chance: random.Random) -> None:
    bomb = chance.choice(BOMBS)
    found[0] = found[0][:28].ljust(28, b"\0") + len(bomb).to_bytes(3, "little") + b"\0" + bomb + found[0][HEADER.size :]


def _frames(found: Message, chance: random.Random) -> None:
    """Frames too many, too few, or in another order."""
    match chance.randrange(4):
        case 0:
            found.extend([chance.randbytes(chance.choice((0, 1, 5000)))] * chance.choice((1, 2, MAX_BUFFERS + 1)))
        case 1:
            found.pop(chance.randrange(len(found)))
            found.extend([] if found else [b""])
        case 2:
            found.insert(0, b"")
        case _:
            chance.shuffle(found)


def _noise(found: Message, chance: random.Random) -> None:
    found[:] = [chance.randbytes(chance.choice((0, 1, 31, 32, 33, 200))) for _ in range(chance.randint(1, 4))]


MUTATIONS: tuple[Mutation, ...] = (_field, _field, _kind, _flip, _cut, _grow, _body, _meta, _frames, _noise)
