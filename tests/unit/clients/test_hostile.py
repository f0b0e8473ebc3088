"""Whatever comes, reading it gives a value or an error from the tree, and takes little memory."""

from __future__ import annotations

import importlib.util
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.errors import RagqError
from clients.frames import MAX_FRAME, Buffer
from clients.greetings import Beat, Hello, Ready, Welcome
from clients.packing import unpack, unpack_map, unpack_raw
from clients.wire import decode, payload_of, read_failure
from tests.mesh.mutations import Message, almost_right
from tests.mesh.trial import Blob, Count, Number, Wait

FOLDER = Path(__file__).parents[2] / "data" / "fuzz"
FILES = sorted(FOLDER.glob("*.bin"))
CLASSES = (Beat, Blob, Count, Hello, Number, Ready, Wait, Welcome)
LARGEST = 64 << 20


def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_messages", FOLDER / "make_messages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_in_every_way(frames: Message) -> None:
    """All that any of the three parties does with a message."""
    envelope = decode(frames[0])
    with suppress(RagqError):
        read_failure(envelope)
    payload = payload_of(envelope, list[Buffer](frames[1:]))
    with suppress(RagqError):
        unpack_raw(payload)
    for cls in CLASSES:
        with suppress(RagqError):
            unpack(cls, payload)


def peak(action: Callable[[], None]) -> int:
    tracemalloc.start()
    try:
        with suppress(RagqError):
            action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_stored_message_is_read_or_refused_in_little_memory(file: Path) -> None:
    frames = maker().unpacked(file.read_bytes())
    assert peak(lambda: read_in_every_way(frames)) < 1 << 20


def test_every_message_that_is_made_is_stored() -> None:
    made = maker()
    assert {f"{name.replace(' ', '-')}.bin" for name in made.messages()} == {file.name for file in FILES}
    assert made.unpacked(made.packed([b"", b"x" * 300, b"y"])) == [b"", b"x" * 300, b"y"]


@given(st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_messages_that_are_almost_right_are_read_or_refused(seed: int) -> None:
    for frames in islice(almost_right(seed), 50):
        with suppress(RagqError):
            read_in_every_way(frames)


@pytest.mark.parametrize(
    ("prefix", "item"),
    [
        (b"\xdd\x00\x01\x00\x00", b"\x90"),
        (b"\xdd\x00\x01\x00\x00", b"\x81\x00"),
        (b"", b"\x91"),
        (b"\xdc\xff\xff", b"\x92"),
    ],
)
def test_a_mebibyte_of_containers_takes_no_more_than_sixty_four(prefix: bytes, item: bytes) -> None:
    raw = (prefix + item * MAX_FRAME)[:MAX_FRAME]
    assert peak(lambda: unpack_map(raw)) < LARGEST


@given(st.binary(max_size=200), st.integers(1, 4000))
@settings(max_examples=50, deadline=None)
def test_a_pattern_repeated_takes_little_memory_too(pattern: bytes, times: int) -> None:
    raw = (pattern * times)[:MAX_FRAME]
    assert peak(lambda: unpack_map(raw)) < LARGEST
