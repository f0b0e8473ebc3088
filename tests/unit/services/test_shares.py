"""A worker's slots are divided over its proxies."""

from __future__ import annotations

import pytest

from services.shares import share


@pytest.mark.parametrize(
    ("total", "num", "parts"), [(8, 1, [8]), (8, 2, [4, 4]), (8, 3, [3, 3, 2]), (2, 3, [1, 1, 1]), (1, 1, [1])]
)
def test_shares_are_about_equal_and_never_nothing(total: int, num: int, parts: list[int]) -> None:
    assert [share(total, num, place) for place in range(num)] == parts
