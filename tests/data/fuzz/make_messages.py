"""Writes the messages of this folder: one of every kind, and those that are wrong in one way each.

::

    python tests/data/fuzz/make_messages.py [FOLDER]

A file holds the frames of one message, each after its length in four bytes, little-endian.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from clients.frames import MAX_FRAME
from clients.packing import MAX_BUFFERS
from clients.wire import Envelope, Flag, Kind
from tests.mesh.mutations import BOMBS, Message, calls, fine
from tests.mesh.trial import ECHO, WAIT

CALL = fine(Kind.CALL)[0]


def messages() -> dict[str, Message]:
    """Every message by its name."""
    return {
        **{f"fine {kind.name.lower()}": fine(kind) for kind in Kind},
        **{f"fine call {number}": call for number, call in enumerate(calls(1))},
        **{f"body {number}": [CALL[:32] + bomb] for number, bomb in enumerate(BOMBS)},
        **{f"meta {number}": [CALL[:28] + len(bomb).to_bytes(4, "little") + bomb] for number, bomb in enumerate(BOMBS)},
        **{f"wrong {name}": wrong for name, wrong in wrongs().items()},
    }


def wrongs() -> dict[str, Message]:
    """Messages with one thing wrong in their frames or header."""
    return {
        "nothing": [b""],
        "two empty frames": [b"", b""],
        "legacy without map": [b"", b"\xc1"],
        "legacy of two frames": [b"", b"\x80", b"\x80"],
        "short": [b"RQ"],
        "a byte short": [CALL[:31]],
        "magic": [b"XX" + CALL[2:]],
        "version": [CALL[:2] + b"\x02" + CALL[3:]],
        "kind 0": [CALL[:3] + b"\x00" + CALL[4:]],
        "kind 255": [CALL[:3] + b"\xff" + CALL[4:]],
        "unknown flag": [CALL[:4] + b"\x10\x00" + CALL[6:]],
        "no trace block": [CALL[:4] + bytes([Flag.TRACED, 0]) + CALL[6:32]],
        "meta beyond the frame": [CALL[:28] + b"\xff\xff\xff\x00" + CALL[32:]],
        "many buffers": [CALL[:31] + bytes([MAX_BUFFERS + 1]) + CALL[32:]],
        "a buffer missing": [CALL[:31] + b"\x02" + CALL[32:], b"one"],
        "a buffer too many": [CALL, b"one"],
        "status": [Envelope(Kind.ERROR, 1, status=255).encode()],
        "chunk out of turn": [Envelope(Kind.CHUNK, 1, seq=7).encode()],
        "end of another count": [Envelope(Kind.END, 1, seq=9).encode()],
        "endless credit": [Envelope(Kind.CREDIT, 1, seq=0xFFFFFFFF).encode()],
        "endless time": [Envelope(Kind.CALL, 1, method=WAIT.key, ttl_ms=0xFFFFFFFF).encode()],
        "no body": [Envelope(Kind.CALL, 1, method=ECHO.key).encode()],
        "body in buffers without": [
            Envelope(Kind.CALL, 1, Flag.BODY_IN_BUFFERS, method=ECHO.key, body=b"\x80").encode()
        ],
        "legacy flag from outside": [Envelope(Kind.CALL, 1, Flag.LEGACY, method=ECHO.key, body=b"\x80").encode()],
        "largest id": [Envelope(Kind.CALL, 2**64 - 1, method=WAIT.key, ttl_ms=1000, body=b"\x80").encode()],
    }


def packed(frames: Message) -> bytes:
    """A message as a file."""
    return b"".join(len(frame).to_bytes(4, "little") + frame for frame in frames)


def unpacked(raw: bytes) -> Message:
    """The message in a file."""
    frames, place = [], 0
    while place < len(raw):
        size = int.from_bytes(raw[place : place + 4], "little")
        frames.append(raw[place + 4 : place + 4 + size])
        place += 4 + size
    return frames


def main(folder: Path) -> None:
    """Write every file."""
    for name, frames in messages().items():
        assert all(len(frame) <= MAX_FRAME for frame in frames)
        (folder / f"{name.replace(' ', '-')}.bin").write_bytes(packed(frames))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
