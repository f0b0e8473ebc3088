"""A model that does not fit is refused with what it needs, what there is, and what to do."""

from __future__ import annotations

import pytest

from clients.config import Model
from clients.errors import TooLarge
from services.llm.room import check_room

MODEL = Model("big")
GB = 10**9


@pytest.mark.parametrize(("needed", "available", "freed"), [(0, 1, 0), (5 * GB, 0, 0), (5, 5, 0), (5, 3, 2)])
def test_what_fits_or_is_unknown_is_let_through(needed, available, freed):
    check_room(MODEL, needed, available, freed=freed)


def test_what_does_not_fit_is_told_with_both_numbers_and_the_ways_out():
    with pytest.raises(
        TooLarge, match=r"'big' needs about 5\.00 GB of memory to load, and 3\.00 GB can be had"
    ) as failure:
        check_room(MODEL, 5 * GB, 3 * GB)
    assert failure.value.help.startswith("use dtype int8, a smaller model or another host")
    assert "check_memory: false" in failure.value.help


def test_beside_another_model_the_way_out_is_to_let_go_of_that_one():
    with pytest.raises(TooLarge, match="while 'small' stays loaded") as failure:
        check_room(Model("big", dtype="int8"), 5 * GB, 3 * GB, beside="small")
    assert "release_first" in failure.value.help
    assert "dtype" not in failure.value.help


def test_an_option_leaves_the_check_out():
    check_room(Model("big", options={"check_memory": False}), 5 * GB, 3 * GB)
