"""What is packed comes back equal; what is malformed is refused, and nothing else happens."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from clients.errors import BadRequest, TooLarge
from clients.frames import DTYPES, INLINE_ARRAY, INLINE_BYTES, MAX_FRAME
from clients.packing import (
    INLINE_BODY,
    MAX_BUFFERS,
    MAX_DEPTH,
    MAX_UNARY,
    Payload,
    pack,
    unpack,
    unpack_map,
    unpack_raw,
)

ANY_TEXT = st.text(st.characters(codec="utf-8"))
KEYS = ANY_TEXT.filter(lambda key: key not in ("__nd__", "__bytes__"))
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | ANY_TEXT
VALUES = st.recursive(
    SCALARS | st.binary(max_size=100),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=30,
)


@dataclass(frozen=True, slots=True)
class Box:
    array: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    data: bytes = b""
    text: str = ""


def travelled(payload: Payload) -> Payload:
    """As a receiver has it: frames of bytes."""
    return Payload(payload.body, [bytes(b) for b in payload.buffers], payload.body_in_buffers)


@given(VALUES)
def test_plain_values_come_back(value: Any) -> None:
    assert unpack_raw(travelled(pack(value))) == value


@given(
    st.sampled_from(DTYPES).flatmap(
        lambda dtype: nps.arrays(np.dtype(dtype), nps.array_shapes(min_dims=0, max_dims=8, min_side=0, max_side=4))
    )
)
def test_arrays_of_every_allowed_type_come_back(array: np.ndarray) -> None:
    back = unpack(Box, travelled(pack(Box(array)))).array
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize("num_bytes", [INLINE_ARRAY - 1, INLINE_ARRAY, MAX_FRAME, MAX_FRAME + 1, 5 * MAX_FRAME + 7])
def test_large_arrays_leave_the_body_as_frames_of_a_mebibyte(num_bytes: int) -> None:
    array = np.random.default_rng(0).integers(0, 255, num_bytes, np.uint8)
    payload = pack(Box(array))
    assert len(payload.buffers) == (math.ceil(num_bytes / MAX_FRAME) if num_bytes >= INLINE_ARRAY else 0)
    assert all(len(memoryview(b)) <= MAX_FRAME for b in payload.buffers)
    assert np.array_equal(unpack(Box, travelled(payload)).array, array)


def test_an_array_of_another_layout_arrives_in_c_order_and_little_endian() -> None:
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3)).astype(">f8")[:, ::-1]
    back = unpack(Box, travelled(pack(Box(array)))).array
    assert back.dtype == np.dtype("<f8")
    assert np.array_equal(back, array)


@pytest.mark.parametrize("dtype", ["object", "<U3", "<c8", "<M8[s]", "<u8", "V4"])
def test_arrays_of_other_types_are_refused_by_name(dtype: str) -> None:
    with pytest.raises(BadRequest, match=r"dtype .* cannot travel; allowed: <f4"):
        pack(Box(np.zeros(2, dtype)))


def test_an_array_of_nine_dimensions_is_refused_before_it_is_sent() -> None:
    with pytest.raises(BadRequest, match="9 dimensions"):
        pack(Box(np.zeros((1,) * 9, np.float32)))


@pytest.mark.parametrize("num_bytes", [INLINE_BYTES - 1, INLINE_BYTES, 3 * MAX_FRAME])
def test_long_byte_strings_leave_the_body(num_bytes: int) -> None:
    payload = pack(Box(data=b"\x01" * num_bytes))
    assert bool(payload.buffers) == (num_bytes >= INLINE_BYTES)
    assert unpack(Box, travelled(payload)).data == b"\x01" * num_bytes


@pytest.mark.parametrize("num_chars", [INLINE_BODY - 100, INLINE_BODY, 3 * MAX_FRAME])
def test_a_long_body_follows_in_frames(num_chars: int) -> None:
    box = Box(np.arange(5000.0), text="ö" * (num_chars // 2))
    payload = pack(box)
    assert payload.body_in_buffers == (len(payload.body) < 100)
    assert unpack(Box, travelled(payload)).text == box.text
    assert np.array_equal(unpack(Box, travelled(payload)).array, box.array)


def test_eight_mebibytes_are_the_limit() -> None:
    pack(Box(data=b"x" * (MAX_UNARY - 1000)))
    with pytest.raises(TooLarge, match="the limit is 8192 KiB"):
        pack(Box(data=b"x" * MAX_UNARY))
    with pytest.raises(TooLarge):
        pack([np.zeros(INLINE_ARRAY, np.uint8)] * (MAX_BUFFERS + 1))


def _kind(value: object) -> str:
    return type(value).__name__


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, "\ud800", {1, 2}, object(), np.complex64(1)], ids=_kind)
def test_a_value_that_cannot_travel_is_refused(value: object) -> None:
    with pytest.raises(BadRequest, match="cannot travel"):
        pack({"value": value})


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(BadRequest, match="nested deeper"):
        pack(loop)


@given(st.binary(max_size=300), st.lists(st.binary(max_size=20), max_size=3), st.booleans())
@settings(max_examples=150)
def test_bytes_that_are_no_message_are_refused_and_nothing_else(body: bytes, buffers: list[bytes], long: bool) -> None:
    for read in (unpack_raw, lambda payload: unpack(Box, payload)):
        with suppress(BadRequest):
            read(Payload(body, buffers, long))


PARTS = [*DTYPES, "|O", 0, 1, -1, 2**62, [], [2], [0, 2**63], b"", b"12345678", None]
SPECS = st.one_of(
    st.fixed_dictionaries({"__nd__": st.lists(st.sampled_from(PARTS), max_size=5)}),
    st.fixed_dictionaries({"__bytes__": st.lists(st.integers(-2, 4) | st.none() | st.booleans(), max_size=3)}),
    st.fixed_dictionaries({"__body__": st.lists(st.integers(-2, 4) | st.just(2**62), max_size=3)}),
)  # fmt: skip


@given(SPECS, st.booleans())
@settings(max_examples=150)
def test_placeholders_that_fit_no_frame_are_refused_and_nothing_else(spec: object, long: bool) -> None:
    with suppress(BadRequest):
        unpack_raw(Payload(msgpack.packb(spec), [b"12345678", b"\x80"], long))


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "incomplete"),
        (b"\xc1", "FormatError"),
        (b"\x80\x80", "ExtraData"),
        (b"\x81\x01\x01", "strict_map_key"),
        (b"\xd4\x05\x00", "max_ext_len"),
        (b"\xd6\xff\0\0\0\0", "max_ext_len"),
        (b"\xdd\xff\xff\xff\xff", "exceeds max_array_len"),
        (b"\xdd\x00\x01\x00\x00", "exceeds max_array_len"),
        (b"\xdf\xff\xff\xff\xff", "exceeds max_map_len"),
        (b"\xdb\xff\xff\xff\xff", r"max_str_len|incomplete"),
        (b"\xa2\xff\xff", "utf-8"),
    ],
)
def test_malformed_msgpack_is_refused_with_the_reason(raw: bytes, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        unpack_map(raw)


@pytest.mark.parametrize("depth", [MAX_DEPTH + 2, 400, 900, 100_000])
def test_a_body_nested_too_deep_is_refused(depth: int) -> None:
    with pytest.raises(BadRequest, match=r"deeper|StackError|recursion|lists and maps"):
        unpack_raw(Payload(b"\x91" * depth + b"\x80"))


@dataclass(frozen=True, slots=True)
class Present:
    """A message with a field that came later, and one that must be said even if it is nothing."""

    name: str
    share: float | None
    limit: list[str] | None = None
    more: list[str] = field(default_factory=list)
    least: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Former:
    """The same message of an earlier release."""

    name: str
    share: float | None


def test_a_field_that_came_later_is_no_obstacle_until_it_is_used() -> None:
    assert unpack(Former, pack(Present("a", None))) == Former("a", None)
    assert unpack(Present, pack(Former("a", None))) == Present("a", None)
    assert unpack(Present, pack(Present("a", None, []))) == Present("a", None, [])
    for used in (Present("a", None, ["b"]), Present("a", None, more=["b"]), Present("a", None, least={"b": 1.0})):
        assert unpack(Present, pack(used)) == used
        with pytest.raises(BadRequest, match=r"unknown key '(limit|more|least)'"):
            unpack(Former, pack(used))
