"""The codec does exactly what its plain version does, with whatever it is given."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field, make_dataclass
from typing import Any, Literal

import msgpack
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from clients import packing, reading, wire
from clients.errors import RagqError
from clients.frames import DTYPES
from clients.packing import MAX_DEPTH
from clients.wire import HEADER, MAX_META, Envelope, Flag, Kind
from tests.unit.clients import plain_codec

NAMES = ("size", "texts", "model", "kind", "array")
WORDS = st.sampled_from([*NAMES, "sise", "", "a.b"])


class Level(enum.IntEnum):
    LOW = 1


@dataclass(frozen=True, slots=True)
class Inner:
    size: int
    texts: list[str] = field(default_factory=list)
    share: float = 0.5


def outcome(work: Callable[[], Any]) -> Any:
    """What it gave, comparable whatever it is, or how it refused."""
    try:
        return exact(work())
    except RagqError as error:
        return type(error), error.message, error.help


def exact(value: Any) -> Any:
    """A value with the type of each part, so that 1, 1.0 and True differ and nan equals itself."""
    match value:
        case np.ndarray():
            return value.dtype.str, value.shape, value.tobytes()
        case dict():
            return [(exact(key), exact(item)) for key, item in value.items()]
        case list() | tuple():
            return type(value), [exact(item) for item in value]
        case _ if hasattr(value, "__dataclass_fields__"):
            return type(value), [exact(getattr(value, name)) for name in value.__dataclass_fields__]
    return type(value), repr(value)


ARRAYS = st.sampled_from([*DTYPES, ">f4", ">i8", "<u8", "<U2"]).flatmap(
    lambda dtype: nps.arrays(np.dtype(dtype), nps.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5)
    | st.sampled_from(["a", "b", 1, True, 1.0, Level.LOW, np.float64(2.5), np.int32(3), 10**400])
)  # fmt: skip
LEAVES = SCALARS | ARRAYS | st.builds(Inner, size=st.integers(0, 9)) | st.sampled_from([{1, 2}, object, Inner, 1j])
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(WORDS | st.integers(0, 3), inner, max_size=4)
    ),
    max_leaves=10,
)
HINTS = st.recursive(
    st.sampled_from([
        int, str, float, bool, bytes, list, dict, object, Any, type(None), np.ndarray,
        np.ndarray[Any, np.dtype[np.float32]],
        Inner, Literal["a", "b", 1], Literal[True], int | None, float | int, int | float, Inner | str | None,
    ]),
    lambda inner: (
        inner.map(lambda hint: list[hint])  # type: ignore[valid-type]
        | inner.map(lambda hint: dict[str, hint])  # type: ignore[valid-type]
        | inner.map(lambda hint: tuple[hint, ...])  # type: ignore[valid-type]
        | st.tuples(inner, inner).map(lambda hints: tuple[hints])  # type: ignore[valid-type]
    ),
    max_leaves=3,
)  # fmt: skip


@st.composite
def classes_and_maps(draw: st.DrawFn) -> tuple[type, Any]:
    """A dataclass of any fields, and a map that may fit it."""
    hints = {name: draw(HINTS) for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))}
    chosen = draw(st.sets(st.sampled_from(sorted(hints))))
    entries = [
        (name, hint, field(default=None)) if name in chosen else (name, hint)
        for name, hint in sorted(hints.items(), key=lambda entry: entry[0] in chosen)
    ]
    given_map = {name: draw(fitting(hint) | VALUES) for name, hint in hints.items() if draw(st.integers(0, 4))}
    return make_dataclass("Made", entries), draw(st.just(given_map) | st.just(given_map) | VALUES)


def fitting(hint: Any) -> st.SearchStrategy[Any]:
    """Values that are likely to fit a hint."""
    name = str(hint)
    if "list" in name or "tuple" in name:
        return st.lists(SCALARS | st.integers() | st.text(max_size=3) | st.just({"size": 1}), max_size=3)
    if "dict" in name or "Inner" in name:
        return st.dictionaries(WORDS, SCALARS | st.lists(st.text(max_size=3), max_size=3), max_size=3)
    return SCALARS | ARRAYS


@given(classes_and_maps())
@settings(max_examples=400, deadline=None)
def test_maps_are_read_or_refused_as_plainly(case: tuple[type, Any]) -> None:
    made, value = case
    assert outcome(lambda: reading.read(made, value)) == outcome(lambda: plain_codec.read(made, value))
    assert outcome(lambda: reading.read(made, value, "at")) == outcome(lambda: plain_codec.read(made, value, "at"))


@given(HINTS, VALUES)
@settings(max_examples=200, deadline=None)
def test_values_are_converted_or_refused_as_plainly(hint: Any, value: Any) -> None:
    expected = outcome(lambda: plain_codec.convert(hint, value, "here"))
    assert outcome(lambda: reading.convert(hint, value, "here")) == expected


@given(VALUES, st.integers(0, 3))
@settings(max_examples=300, deadline=None)
def test_values_are_packed_or_refused_as_plainly(value: Any, num_large: int) -> None:
    value = [value, *([np.arange(5000.0), b"x" * 70_000, bytearray(2 << 20)][:num_large])]
    fast: list[Any] = []
    slow: list[Any] = []
    if any_class(value):
        return  # a class that is a dataclass used to travel as its defaults; now it is refused
    given_fast = outcome(lambda: packing.plain(value, fast))
    assert given_fast == outcome(lambda: plain_codec.plain(value, slow))
    assert [bytes(buffer) for buffer in fast] == slow


def any_class(value: Any) -> bool:
    """Whether a class is somewhere in it."""
    if isinstance(value, dict):
        return any(any_class(item) for item in value.values())
    return any(map(any_class, value)) if isinstance(value, list | tuple) else isinstance(value, type)


SPECS = st.fixed_dictionaries(
    {"__nd__": st.lists(st.sampled_from([*DTYPES, "|O", 0, 1, True, -1, 2**62, [], [2], [0, 2**63], b"", b"12345678"]))}
) | st.fixed_dictionaries({"__bytes__": st.lists(st.integers(-1, 3) | st.booleans() | st.none(), max_size=3)})
PARTS = st.none() | st.integers(0, 9) | st.text(max_size=3) | st.binary(max_size=3) | SPECS
BODIES = st.recursive(
    PARTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=8
)


@given(BODIES, st.lists(st.sampled_from([b"", b"12345678", b"\x80"]), max_size=3))
@settings(max_examples=300, deadline=None)
def test_arrays_and_bytes_are_put_back_or_refused_as_plainly(body: Any, buffers: list[bytes]) -> None:
    packed = msgpack.packb(body)
    expected = outcome(lambda: plain_codec.revive(msgpack.unpackb(packed), buffers))
    assert outcome(lambda: packing.unpack_raw(packing.Payload(packed, buffers))) == expected


def test_the_limit_of_nesting_is_the_same_for_lists_and_maps_and_what_is_in_them() -> None:
    for bottom in (1, [], {}, [1], {"a": 1}, {"a": []}, [{}], {"__nd__": ["<f4", [0], b""]}):
        for depth in range(MAX_DEPTH - 2, MAX_DEPTH + 3):
            for wrap in (lambda inner: [inner], lambda inner: {"k": inner}):
                body: Any = bottom
                for _ in range(depth):
                    body = wrap(body)
                packed = msgpack.packb(body)
                expected = outcome(lambda: plain_codec.revive(msgpack.unpackb(packed), []))  # noqa: B023 - called at once
                assert outcome(lambda: packing.unpack_raw(packing.Payload(packed))) == expected  # noqa: B023 - called at once
                assert outcome(lambda: packing.plain(body, [])) == outcome(lambda: plain_codec.plain(body, []))  # noqa: B023 - called at once


HEADERS = st.tuples(
    st.sampled_from([b"RQ", b"QR"]), st.sampled_from([1, 1, 1, 2]), st.integers(0, 20),
    st.sampled_from([0, 1, int(Flag.TRACED), 255, 65535]), st.integers(0, 255), st.integers(0, 255),
    st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1),
    st.sampled_from([0, 1, 5, 30, MAX_META, MAX_META + 1, 1 << 24, 64 << 24, 65 << 24]),
)  # fmt: skip


@given(HEADERS, st.binary(max_size=70), st.integers(0, 40))
@settings(max_examples=300, deadline=None)
def test_frames_are_decoded_or_refused_as_plainly(header: tuple[Any, ...], tail: bytes, cut: int) -> None:
    frame = HEADER.pack(*header) + tail
    for raw in (frame, frame[: len(frame) - cut]):
        assert outcome(lambda: wire.decode(raw)) == outcome(lambda: plain_codec.decode(raw))  # noqa: B023 - called at once


def test_a_message_is_the_same_whether_its_envelope_has_the_body_or_is_given_it() -> None:
    payload = packing.pack({"data": b"x" * 70_000, "text": "y" * 600_000})
    head = Envelope(Kind.CALL, 7, Flag.IDEMPOTENT, 0, 1, 5, 6, 7, b"meta", trace=bytes(26))
    whole = head._replace(flags=head.flags | Flag.BODY_IN_BUFFERS, body=payload.body, num_buffers=len(payload.buffers))
    assert wire.message(head, payload) == [whole.encode(), *payload.buffers]


def test_a_packer_is_fit_for_the_next_message_after_one_that_it_refused_or_that_was_huge() -> None:
    for bad in ({"a": 2**70}, {"a": "\ud800"}, {"a": object()}):
        assert outcome(lambda: packing.pack_map(bad)) != outcome(lambda: packing.pack_map({"a": 1}))  # noqa: B023 - called at once
        assert packing.pack_map({"a": 1}) == b"\x81\xa1a\x01"
    assert len(packing.pack_map({"a": "x" * (packing.KEPT_ROOM + 1)})) > packing.KEPT_ROOM
    assert packing.pack_map({"a": 1}) == b"\x81\xa1a\x01"
