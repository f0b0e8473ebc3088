"""The cache of results: within its bytes, the last used stay."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from services.llm.cache import ENTRY_BYTES, Cache, key_of

PARTS = st.lists(st.text(), max_size=4)


@dataclass(frozen=True)
class Entry:
    num_bytes: int = 4


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 8000)), max_size=80))
def test_it_never_holds_more_bytes_than_it_may(puts):
    cache: Cache[Entry] = Cache(20_000)
    for number, size in puts:
        cache.put(bytes([number]), Entry(size))
        assert cache.num_bytes <= 20_000
    assert len(cache) <= 20_000 // ENTRY_BYTES


def test_the_one_used_longest_ago_goes_first():
    cache: Cache[Entry] = Cache(2 * (ENTRY_BYTES + 4))
    cache.put(b"a", Entry())
    cache.put(b"b", Entry())
    cache.get(b"a")
    cache.put(b"c", Entry())
    assert cache.get(b"b") is None
    assert cache.get(b"a") is not None
    assert cache.get(b"c") is not None
    assert (cache.num_hits, cache.num_misses) == (3, 1)


def test_an_entry_larger_than_the_whole_is_not_kept():
    cache: Cache[Entry] = Cache(1000)
    cache.put(b"a", Entry(40_000))
    assert len(cache) == 0


@given(PARTS, PARTS)
def test_a_key_tells_apart_what_differs_in_any_part_or_where_a_part_ends(parts, others):
    assert len(key_of(*parts)) == 16
    assert (key_of(*parts) == key_of(*others)) == (parts == others)


def test_a_text_that_is_cut_in_two_elsewhere_has_another_key():
    assert key_of("ab", "c") != key_of("a", "bc")
    assert key_of("a\0b", "c") != key_of("a", "b\0c")
