"""What a question asks for makes some sentences worth more."""

from __future__ import annotations

import pytest

from services.llm.questions import wish


@pytest.mark.parametrize(
    ("question", "better", "worse"),
    [
        ("How many pages may it have?", "At most 5000 pages.", "Not too many pages."),
        ("一共有多少页？", "最多 5000 页。", "页数有上限。"),
        ("How do I stop it?", "Run `ragq down`.", "It stops at last."),
        ("怎样停止？", "请按 Ctrl-C。", "停止之后一切都会保留。"),
    ],
)
def test_what_is_asked_for_earns_a_bonus(question: str, better: str, worse: str) -> None:
    wished = wish(question)
    assert wished.bonus(better, "") > wished.bonus(worse, "") == 0.0
    assert wished.bonus(better, "") <= wished.share


@pytest.mark.parametrize(
    ("question", "text", "term"),
    [
        ("What is a slot?", "Slot: one call.", ""),
        ("What is MaxSim?", "**MaxSim**: a reranking.", "MaxSim"),
        ("What does BM25 mean?", "A score.", "BM25"),
        ("什么是嵌入？", "把文本变成向量。", "Embedding / 嵌入"),
        ("嵌入是什么意思？", "嵌入是向量。", ""),
    ],
)
def test_what_explains_the_thing_earns_a_bonus(question: str, text: str, term: str) -> None:
    assert wish(question).bonus(text, term) > 0
    assert wish(question).bonus("Something else.", "Other") == 0


def test_a_question_of_another_kind_wishes_for_nothing() -> None:
    assert wish("Who built the tower?").share == 0
