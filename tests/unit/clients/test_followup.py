"""Which questions lean on the round before."""

from __future__ import annotations

import pytest

from clients.answers import Round
from clients.followup import is_cjk, standalone

EARLIER = [Round("What is a drone?", "A craft."), Round("Which battery does the tug use?", "A lithium one.")]
EARLIER_ZH = [Round("索引服务用哪个端口？", "7783")]


@pytest.mark.parametrize(
    "question",
    ["How heavy is it?", "And in winter?", "Why?", "what about the wings", "Which one lasts longer?", "Tell me more."],
)
def test_a_question_that_points_back_is_searched_with_the_one_before(question: str) -> None:
    assert standalone(question, EARLIER) == f"Which battery does the tug use? {question}"


@pytest.mark.parametrize("question", ["它有多重？", "那么冬天呢？", "为什么？", "还有别的吗", "端口是多少"])
def test_a_chinese_question_that_points_back_is_searched_with_the_one_before(question: str) -> None:
    assert standalone(question, EARLIER_ZH) == f"索引服务用哪个端口？ {question}"


@pytest.mark.parametrize(
    "question",
    ["How many motors does a quadcopter need to hover?", "请说明如何在第二台机器上启动工作进程和代理"],
)
def test_a_question_that_stands_alone_is_left_as_it_is(question: str) -> None:
    assert standalone(question, EARLIER) == question
    assert standalone(question, EARLIER_ZH) == question


def test_without_history_nothing_is_added() -> None:
    assert standalone("Why is it so?", []) == "Why is it so?"


@pytest.mark.parametrize(
    ("text", "chinese"),
    [
        ("什么是端口", True),
        ("什么是 port", True),
        ("What is a 端口 here?", False),
        ("What?", False),
        ("", False),
        ("7783", False),
    ],
)
def test_a_fifth_of_the_letters_makes_a_text_chinese(text: str, chinese: bool) -> None:
    assert is_cjk(text) == chinese


def test_a_chain_of_questions_that_point_back_is_searched_from_the_one_that_names_the_topic() -> None:
    chain = [*EARLIER, Round("How heavy is it?", "2 kg."), Round("And in winter?", "Less.")]
    assert standalone("Why?", chain) == "Which battery does the tug use? How heavy is it? And in winter? Why?"
    chain_zh = [*EARLIER_ZH, Round("它可以改吗？", "可以")]
    assert standalone("怎么改？", chain_zh) == "索引服务用哪个端口？ 它可以改吗？ 怎么改？"


def test_a_chain_without_a_topic_is_searched_as_far_as_the_rounds_go_back() -> None:
    chain = [Round("And it?", "?"), Round("And this one?", "?")]
    assert standalone("Why?", chain) == "And it? And this one? Why?"
