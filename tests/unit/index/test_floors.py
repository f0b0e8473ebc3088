"""Are hits with low scores left out, by every signal, and does the search say when that was not possible?"""

from __future__ import annotations

import pytest

from clients.errors import BadRequest
from clients.index import Mode
from services.index.floors import NOTHING, above, told

from .conftest import Desk

FACTS = (
    "Whales are mammals that live in the sea and breathe air.",
    "Bees make honey from the nectar of flowers.",
    "Iron rusts in the air when it is wet.",
)


def test_candidates_below_a_floor_or_without_its_score_go_and_the_others_keep_their_order() -> None:
    order = {"c": 3.0, "a": 2.0, "b": 1.0}
    signals = {"dense": {"a": 0.9, "b": 0.8, "c": 0.1}, "rerank": {"a": 0.5, "c": 0.9}}
    assert list(above(order, signals, {"dense": 0.8})) == ["a", "b"]
    assert list(above(order, signals, {"rerank": 0.2})) == ["c", "a"]
    assert list(above(order, signals, {"dense": 0.8, "rerank": 0.2})) == ["a"]
    assert list(above(order, signals, {"keyword": 9.0})) == ["c", "a", "b"]
    assert told({}, signals, {"keyword": 9.0}) == ["at_least: this search has no score 'keyword'", NOTHING]


@pytest.mark.parametrize("mode", ["dense", "hybrid"])
@pytest.mark.parametrize("rerank", [True, False])
def test_what_is_found_reaches_the_floor_and_nothing_that_does_is_missing(desk: Desk, mode: Mode, rerank: bool) -> None:
    desk.add_and_wait(*FACTS)
    every = desk.search("mammals of the sea breathe air", mode, rerank=rerank).hits
    similarities = sorted(hit.scores["dense"] for hit in every)
    floor = similarities[1]
    found = desk.search("mammals of the sea breathe air", mode, rerank=rerank, at_least={"dense": floor})
    assert {hit.text for hit in found.hits} == {hit.text for hit in every if hit.scores["dense"] >= floor}
    assert len(found.hits) == 2
    assert not found.notes


def test_a_floor_that_nothing_reaches_says_so(desk: Desk) -> None:
    desk.add_and_wait(*FACTS)
    found = desk.search("bees and honey", at_least={"dense": 1.1})
    assert not found.hits
    assert NOTHING in found.notes


def test_a_floor_of_a_score_that_the_search_lacks_limits_nothing_and_says_so(desk: Desk) -> None:
    desk.add_and_wait(*FACTS)
    found = desk.search("bees and honey", "keyword", rerank=False, at_least={"dense": 1.1, "rerank": 0.5})
    assert found.hits[0].text == FACTS[1]
    assert found.notes == [f"at_least: this search has no score '{name}'" for name in ("dense", "rerank")]


@pytest.mark.parametrize("at_least", [{"score": 0.5}, {"dense": float("nan")}, {"dense": float("inf")}])
def test_a_floor_that_means_nothing_is_refused(desk: Desk, at_least: dict[str, float]) -> None:
    desk.add_and_wait(*FACTS)
    with pytest.raises(BadRequest, match="at_least: "):
        desk.search("bees", at_least=at_least)
