"""Do signals put chunks into an order that each of them had a say in?"""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.index.fusion import best_first, fuse, ranks, refine

SCORES = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(-5, 50), max_size=8)


def test_what_both_signals_like_comes_first() -> None:
    fused = fuse({"dense": {"a": 0.9, "b": 0.8, "c": 0.1}, "keyword": {"b": 12.0, "c": 11.0, "a": 0.0}})
    assert list(fused) == ["b", "a", "c"]


def test_the_scale_of_a_signal_does_not_matter() -> None:
    dense, keyword = {"a": 0.9, "b": 0.5, "c": 0.1}, {"a": 1.0, "b": 9.0, "c": 2.0}
    larger = {id_: 1000 * score + 3 for id_, score in keyword.items()}
    assert fuse({"d": dense, "k": keyword}) == pytest.approx(fuse({"d": dense, "k": larger}))


@given(SCORES, SCORES)
def test_every_id_is_kept_and_the_order_falls(dense: dict[str, float], keyword: dict[str, float]) -> None:
    fused = fuse({"dense": dense, "keyword": keyword})
    assert set(fused) == set(dense) | set(keyword)
    assert list(fused.values()) == sorted(fused.values(), reverse=True)


@given(SCORES)
def test_one_signal_keeps_its_order(scores: dict[str, float]) -> None:
    fused = fuse({"only": scores})
    assert [scores[id_] for id_ in fused] == pytest.approx(sorted(scores.values(), reverse=True))


def test_ranks_begin_at_one() -> None:
    assert ranks({"a": 0.1, "b": 0.5}) == {"b": 1, "a": 2}
    assert list(best_first({"a": 1.0, "b": 1.0, "c": 2.0})) == ["c", "a", "b"]


@given(SCORES, SCORES, st.integers(0, 8))
def test_refining_moves_the_chosen_among_themselves(
    dense: dict[str, float], more: dict[str, float], count: int
) -> None:
    order = best_first(dense)
    chosen = list(order)[:count]
    refined = refine(order, {"dense": dense, "rerank": {id_: more.get(id_, 0.0) for id_ in chosen}}, chosen)
    assert set(list(refined)[:count]) == set(chosen)
    assert list(refined)[count:] == list(order)[count:]
    values = list(refined.values())
    assert all(after <= before + 1e-9 for before, after in pairwise(values))
