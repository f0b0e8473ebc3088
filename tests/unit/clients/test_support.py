"""A sentence is backed by the passage that has its words, in English and Chinese."""

from __future__ import annotations

import pytest

from clients.support import backing

PASSAGES = ["The Index service listens on port 7783.", "员工每年有十五天年假。", "Notice periods are three months."]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("The index service listens on port 7783.", [0]),
        ("年假有十五天。", [1]),
        ("Notice takes three months. The service listens on 7783.", [0, 2]),
        ("Parental leave lasts two years in Norway.", []),
        ("", []),
        ("...", []),
    ],
)
def test_backing(text: str, numbers: list[int]) -> None:
    assert backing(text, PASSAGES) == numbers


def test_a_number_with_a_point_stays_in_its_sentence() -> None:
    assert backing("It needs Python 3.11 or later.", ["Python 3.11 or later is needed."]) == [0]
