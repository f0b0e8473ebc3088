"""Sentences are found where they stand, and the ones that answer come first."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.llm import Extract
from services.llm.extract import extract
from services.llm.sentences import MAX_CHARS, sentences

TOWER = (
    "The Eiffel Tower stands in Paris. It was built in 1889 by Gustave Eiffel. Is it tall? Millions of people visit it."
)


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            TOWER,
            [
                "The Eiffel Tower stands in Paris.",
                "It was built in 1889 by Gustave Eiffel.",
                "Is it tall?",
                "Millions of people visit it.",
            ],
        ),
        (
            "Dr. Smith met J. Doe, e.g. in 3.5 hours. Then he left.",
            ["Dr. Smith met J. Doe, e.g. in 3.5 hours.", "Then he left."],
        ),
        (
            "他来了。她走了！真的吗？“是的。”他说；然后",
            ["他来了。", "她走了！", "真的吗？", "“是的。”", "他说；", "然后"],
        ),
        ("价格是3.5元。Python 3.11可以用。", ["价格是3.5元。", "Python 3.11可以用。"]),
        (
            "# Title\nFirst line\ngoes on. Second.\n\nA new paragraph",
            ["# Title", "First line\ngoes on.", "Second.", "A new paragraph"],
        ),
        ("Steps:\n- open it\n- close it\n1. done", ["Steps:", "- open it", "- close it", "1. done"]),
        ('He said "Go home." She went.', ['He said "Go home."', "She went."]),
        ("See http://x.org/a?b=1 for more. End", ["See http://x.org/a?b=1 for more.", "End"]),
        ("--- \n *** ", []),
        ("", []),
    ],
)
def test_sentences_are_split_as_a_reader_would(text, expected):
    assert split(text) == expected


@given(st.text(st.sampled_from("ab A.!?。！？；\n-# \"'”)1")), st.integers(1, 3))
def test_offsets_are_exact_in_order_and_lose_no_letter(text, repeat):
    text *= repeat
    spans = list(sentences(text))
    assert all(text[start:end] == text[start:end].strip() != "" for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    kept = "".join(text[start:end] for start, end in spans)
    assert [c for c in kept if c.isalnum()] == [c for c in text if c.isalnum()]


@given(st.integers(0, 3000), st.sampled_from(["x", "word ", "字", "a, b "]))
def test_a_run_on_sentence_comes_in_readable_parts(count, unit):
    text = unit * count
    spans = list(sentences(text))
    assert all(end - start <= MAX_CHARS for start, end in spans)
    assert "".join(text[s:e] for s, e in spans).replace(" ", "") == text.replace(" ", "")


def test_without_a_model_the_words_decide():
    best = extract(Extract("Who built the Eiffel tower?", ["Dogs bark. Cats sleep.", TOWER]), None).sentences
    assert [sentence.passage for sentence in best[:2]] == [1, 1]
    assert "Eiffel" in best[0].text
    assert best[0].text == TOWER[best[0].start : best[0].end]


def test_in_chinese_too():
    passages = ["狗是忠诚的动物。猫喜欢睡觉。", "埃菲尔铁塔位于巴黎。它高330米，建于1889年。"]
    best = extract(Extract("埃菲尔铁塔位于哪里？", passages, 1), None).sentences
    assert [sentence.text for sentence in best] == ["埃菲尔铁塔位于巴黎。"]


def test_the_model_finds_what_shares_no_word():
    wanted = "Canines make loyal companions."
    extraction = extract(
        Extract("Are dogs faithful?", ["Stones are hard. " + wanted], 1),
        lambda _, texts: np.array([float(text == wanted) for text in texts], np.float32),
    )
    assert extraction.sentences[0].text == wanted


def test_a_question_for_a_number_prefers_a_sentence_that_has_one():
    best = extract(
        Extract("When did it open?", ["The tower opened with a feast. The tower opened in May 1889."], 1), None
    )
    assert "1889" in best.sentences[0].text


def test_a_question_in_the_text_is_not_the_answer_to_it():
    text = "How do I reset the password? Reset the password with the blue button."
    assert extract(Extract("How do I reset the password?", [text], 1), None).sentences[0].text.startswith("Reset")


def test_the_same_sentence_in_two_passages_is_quoted_once():
    assert len(extract(Extract("one two", ["One two three.", "One two three."], 5), None).sentences) == 1


def test_a_sentence_that_says_what_a_better_one_says_is_left_out():
    passages = ["The blue button resets the password.", "The button resets the password. Ask the owner for help."]
    best = extract(Extract("What resets the password?", passages), None).sentences
    assert [sentence.text for sentence in best] == [passages[0], "Ask the owner for help."]


def test_of_a_statement_a_repetition_is_what_supports_it():
    passages = ["Wings give lift to planes. Planes are heavy, and lift is a force."]
    assert extract(Extract("wings give lift to planes", passages, 1), None).sentences[0].text.startswith("Wings")


def test_a_text_that_holds_the_question_itself_is_not_the_answer_to_it():
    text = 'Try `ask "How do I start it?"` first. To start it, run `up`.'
    assert extract(Extract("How do I start it?", [text], 1), None).sentences[0].text == "To start it, run `up`."


@given(st.lists(st.text("ab .。？1", max_size=60), min_size=1, max_size=4), st.text("ab 1？", min_size=1, max_size=20))
def test_scores_are_between_0_and_1_best_first_and_always_the_same(passages, question):
    request = Extract(question, passages, 20)
    scores = [sentence.score for sentence in extract(request, None).sentences]
    assert all(0.0 <= score <= 1.0 for score in scores)
    assert scores == sorted(scores, reverse=True)
    assert extract(request, None) == extract(request, None)


def test_passages_without_a_sentence_give_none():
    assert extract(Extract("q", ["", "..."]), None).sentences == []
