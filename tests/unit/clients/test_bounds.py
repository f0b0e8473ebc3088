"""Bodies that would become a thousand times their size are refused before they do."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.bounds import MAX_CONTAINERS, check
from clients.errors import BadRequest
from clients.frames import MAX_FRAME
from clients.packing import MAX_UNARY, unpack_map
from tests.conftest import ROOT

MEASURE = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from clients.errors import BadRequest
from clients.packing import MAX_UNARY, unpack_map
raw = sys.stdin.buffer.read()
unpack_map(b"\\x93\\x01\\x02\\x03")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    unpack_map(raw, MAX_UNARY)
except BadRequest as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, error.message)
"""


def list_of(count: int, item: bytes = b"") -> bytes:
    return b"\xdd" + count.to_bytes(4, "big") + item * count


HOSTILE = {
    "empty lists": list_of(10_000, b"\xdd\x00\x00\x03\xe8" + b"\x90" * 1000),
    "empty maps": list_of(10_000, b"\xdd\x00\x00\x03\xe8" + b"\x80" * 1000),
    "lists of one": list_of(50_000, b"\xdc\x00\x64" + b"\x91\x00" * 100),
    "maps of one": list_of(50_000, b"\xdc\x00\x32" + b"\x81\xa1a\x00" * 50),
    "long lists that never come": list_of(99_999)[:5] * 1000 + b"\x00" * 100_000,
    "long lists in short ones": b"\x92\x00" * 200 + (b"\x92\x00" + list_of(65_000)[:5]) * 300 + b"\x00" * 66_000,
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_a_body_that_would_explode_is_refused_for_less_than_ten_mebibytes(raw: bytes) -> None:
    command = [sys.executable, "-c", MEASURE, str(ROOT)]
    run = subprocess.run(command, input=raw[: 10 << 20], capture_output=True, check=True, timeout=50)
    extra_kib, _, why = run.stdout.decode().partition(" ")
    assert int(extra_kib) < 10 << 10, why


def test_as_many_containers_as_are_allowed_come_through() -> None:
    raw = list_of(9, list_of(11_000, b"\x90"))
    value = unpack_map(raw)
    assert isinstance(value, list)
    assert sum(map(len, value)) + len(value) + 1 < MAX_CONTAINERS


@pytest.mark.parametrize(
    "value",
    [
        {"texts": ["中文句子测试" * 50] * 1000},
        {"rows": [[0.5] * 20] * 2000},
        {"ids": list(range(90_000))},
        {"blob": bytes(range(256)) * 3000},
        {"maps": [{"a": 1, "b": "x" * 40, "c": [1, 2, -3, None, True]}] * 3000},
        {"numbers": [0x80, 0x9000, 0xDC00DC00, -0x23, -(2**40), 0xDDDDDDDDDDDDDDDD, 1e300] * 3000},
    ],
    ids=lambda value: next(iter(value)),
)
def test_a_large_body_of_an_ordinary_kind_comes_through(value: dict[str, object]) -> None:
    raw = msgpack.packb(value)
    assert unpack_map(raw, MAX_UNARY) == value


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda below: st.lists(below, max_size=20) | st.dictionaries(st.text(), below, max_size=20),
)


@given(PLAIN, st.integers(1, 400))
def test_whatever_a_program_packs_is_never_refused(value: object, times: int) -> None:
    raw = msgpack.packb([value] * times)
    check(raw, len(raw))


@given(st.binary(min_size=1100, max_size=4000))
def test_bytes_that_are_no_msgpack_are_passed_on_or_refused(raw: bytes) -> None:
    with contextlib.suppress(BadRequest):
        check(raw, MAX_FRAME)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x81\x01\x02",  # a map with a number for a key
        b"\xd4\x05\x00",  # an extension
        b"\xd6\xff\x00\x00\x00\x00",  # a timestamp
        b"\xc1",
        b"\x91",
        b"\x90\x90",
    ],
)
def test_what_a_body_may_not_have_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        unpack_map(raw)


def test_of_two_fields_with_one_name_the_last_counts() -> None:
    assert unpack_map(b"\x82\xa1a\x01\xa1a\x02") == {"a": 2}
