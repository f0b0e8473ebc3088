"""The words that carry meaning, in two writing systems."""

from __future__ import annotations

import pytest

from services.llm.words import informative


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What is the capital of France?", ["capital", "franc"]),
        ("The dogs' houses were painted", ["dog", "hous", "paint"]),
        ("port 7781 and v2.0", ["port", "7781", "v2.0"]),
        ("埃菲尔铁塔有多高？", ["埃菲", "菲尔", "尔铁", "铁塔", "塔有", "多高"]),
        ("ＣＰＵ温度", ["cpu", "温度"]),
        ("的 了 a the", []),
        ("… !!", []),
    ],
)
def test_common_words_and_endings_go_the_rest_stays_in_order(text, words):
    assert informative(text) == words


@pytest.mark.parametrize(
    ("one", "other"),
    [("close", "closed"), ("city", "cities"), ("quick", "quickly"), ("index", "indexes"), ("indexing", "indexed")],
)
def test_forms_of_a_word_are_one(one, other):
    assert informative(one) == informative(other)
