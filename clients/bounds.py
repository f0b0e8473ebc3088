"""Would decoding this msgpack cost far more memory than it has bytes? Asked before anything is allocated.

An empty list of one byte becomes an object of 56, and a list of five bytes may announce 100,000 items, for which
the decoder makes room before it has read one. Nearly every body is cleared by counting bytes; the rest is walked.
"""

from __future__ import annotations

import re

import numpy as np

from .errors import BadRequest

MAX_CONTAINERS = 100_000
MAX_ROOM = 1 << 20  # places in lists, eight bytes each
MAX_NESTED = 1024  # the decoder goes no deeper
HARMLESS_BYTES = 1 << 10
_SCALARS = re.compile(
    rb"(?:[\x00-\x7f\xc0\xc2\xc3\xe0-\xff]|[\xcc\xd0].|[\xcd\xd1]..|[\xca\xce\xd2].{4}|[\xcb\xcf\xd3].{8})*", re.DOTALL
)
_LENGTH_BYTES = [
    {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4, 0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}.get(first, 0)
    for first in range(256)
]
_FIX_MAP, _FIX_STR, _NIL, _LIST_16, _MAP_32 = 0x80, 0xA0, 0xC0, 0xDC, 0xDF


def check(raw: bytes, max_items: int) -> None:
    """Refuse a body that would become too many lists and maps, or that announces more items than it has bytes.

    Args:
        raw: msgpack, or what may be none.
        max_items: the longest list that the decoder will take.

    Raises:
        BadRequest: says which.
    """
    if len(raw) <= HARMLESS_BYTES:
        return
    may_need_room = min(_num_long_lists(raw), MAX_NESTED) * max_items > MAX_ROOM
    if may_need_room or (len(raw) > MAX_CONTAINERS and _num_like_containers(raw) > MAX_CONTAINERS):
        _walk(raw)


def _num_long_lists(raw: bytes) -> int:
    """At most so many lists announce more than fifteen items; to look is much cheaper than to count."""
    return sum(raw.count(first) for first in (b"\xdc", b"\xdd") if first in raw)


def _num_like_containers(raw: bytes) -> int:
    """At most so many lists and maps are there: bytes of text and numbers count too."""
    values = np.frombuffer(raw, np.uint8)
    short, long = values - np.uint8(_FIX_MAP), values - np.uint8(_LIST_16)
    return int(np.count_nonzero(short < 0x20) + np.count_nonzero(long < 4))


def _walk(raw: bytes) -> None:
    """Go from token to token; what is no msgpack is left for the decoder to refuse."""
    position, end, num_containers, num_items = 0, len(raw), 0, 0
    while (position := _after_scalars(raw, position)) < end:
        first = raw[position]
        position += 1
        if first < _NIL:
            length = first & (0x0F if first < _FIX_STR else 0x1F)
        else:
            after = position + _LENGTH_BYTES[first]
            length, position = int.from_bytes(raw[position:after], "big"), after
        if first < _FIX_STR or _LIST_16 <= first <= _MAP_32:
            num_containers, num_items = num_containers + 1, num_items + length
            if num_containers > MAX_CONTAINERS or num_items > end:
                raise _too_much(num_containers, num_items, end)
        else:
            position += length


def _after_scalars(raw: bytes, position: int) -> int:
    found = _SCALARS.match(raw, position)
    return found.end() if found else position


def _too_much(num_containers: int, num_items: int, num_bytes: int) -> BadRequest:
    if num_containers > MAX_CONTAINERS:
        return BadRequest(f"a body of more than {MAX_CONTAINERS} lists and maps", help="send it in parts")
    return BadRequest(f"a body of {num_bytes} bytes that announces {num_items} items")
