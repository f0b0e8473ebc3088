"""The cache of vectors: within its bytes, the last used stay."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.llm.cache import ENTRY_BYTES, Remembered, VectorCache, key_of


def entry(size: int = 1) -> Remembered:
    return Remembered(np.zeros(size, np.float32), 1, 0, 1)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 2000)), max_size=80))
def test_it_never_holds_more_bytes_than_it_may(puts):
    cache = VectorCache(20_000)
    for number, size in puts:
        cache.put(bytes([number]), entry(size))
        assert cache.num_bytes <= 20_000
    assert len(cache) <= 20_000 // ENTRY_BYTES


def test_the_one_used_longest_ago_goes_first():
    cache = VectorCache(2 * (ENTRY_BYTES + 4))
    cache.put(b"a", entry())
    cache.put(b"b", entry())
    cache.get(b"a")
    cache.put(b"c", entry())
    assert cache.get(b"b") is None
    assert cache.get(b"a") is not None
    assert cache.get(b"c") is not None


def test_an_entry_larger_than_the_whole_is_not_kept():
    cache = VectorCache(1000)
    cache.put(b"a", entry(10_000))
    assert len(cache) == 0


@given(st.text(), st.text(), st.sampled_from(["query", "document"]), st.booleans())
def test_a_key_tells_texts_roles_kinds_and_models_apart(text, other, role, wants_tokens):
    key = key_of("m1", role, text, wants_tokens=wants_tokens)
    assert len(key) == 16
    assert key == key_of("m1", role, text, wants_tokens=wants_tokens)
    assert key != key_of("m2", role, text, wants_tokens=wants_tokens)
    assert key != key_of("m1", role, text, wants_tokens=not wants_tokens)
    assert key != key_of("m1", "query" if role == "document" else "document", text, wants_tokens=wants_tokens)
    if text != other:
        assert key != key_of("m1", role, other, wants_tokens=wants_tokens)
