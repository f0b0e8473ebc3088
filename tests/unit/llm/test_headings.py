"""A sentence is read together with the line that it stands under."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.llm import Extract
from services.llm.extract import extract
from services.llm.headings import above, heads, is_head, term

ADDING = """## 添加自己的文档

```
ragq add ~/papers --collection papers
```

知识库不存在时会自动创建。"""
FAQ = """Frequently asked questions

Can I add Excel or PowerPoint files?
Not directly. Save the sheets as CSV.

Does it need a graphics card?
No. The models run on the processor.
"""
GLOSSARY = "**Slot / 槽位**: one call. 一个调用。\n\n**Worker**: a process."


@pytest.mark.parametrize(
    ("text", "sentence", "head"),
    [
        (ADDING, "知识库不", "添加自己的文档"),
        (FAQ, "Save the", "Can I add Excel or PowerPoint files?"),
        (FAQ, "No. The", "Does it need a graphics card?"),
        (GLOSSARY, "一个调用", "Slot / 槽位"),
        (GLOSSARY, "**Worker", ""),
        ("二、端口被占用\n退出码是 3。请先停止。", "请先", "二、端口被占用"),
        ("Where ragq looks\n\nThe first file counts.", "The first", "Where ragq looks"),
        ("This line of prose goes\non here. And ends.", "And", ""),
        ("Prose that was cut to lines of\nSome forty letters. And ends.", "And", ""),
        ("one, two, three\n\nFour.", "Four", "one, two, three"),
        ("- a list item\n\nA sentence.", "A sentence", ""),
        ("# One\nFirst.\n# Two\nSecond.", "First", "One"),
        ("# One\nFirst.\n# Two\nSecond.", "Second", "Two"),
        ("A sentence.", "A sentence", ""),
    ],
)
def test_the_nearest_line_above_counts(text: str, sentence: str, head: str) -> None:
    assert above(heads(text), text.index(sentence)) == head


def test_a_comment_between_fences_is_no_heading() -> None:
    assert heads("```\n# not a heading\n```\n") == []


def test_the_line_itself_is_known_for_a_heading_and_a_term_is_not() -> None:
    assert is_head(heads(FAQ), 0, 26)
    assert not is_head(heads(GLOSSARY), 0, 26)
    assert (term(GLOSSARY), term(FAQ)) == ("Slot / 槽位", "")


def test_a_command_answers_the_question_that_its_heading_asks() -> None:
    best = extract(Extract("怎样添加自己的文档？", [ADDING], 1), None).sentences[0]
    assert best.text == "```\nragq add ~/papers --collection papers\n```"


def test_the_answer_below_a_question_is_quoted_and_not_the_question() -> None:
    best = extract(Extract("Does it need a graphics card?", [FAQ], 1), None).sentences[0]
    assert best.text == "No. The models run on the processor."


def test_a_heading_alone_is_still_quoted() -> None:
    assert [s.text for s in extract(Extract("Where?", ["# Where"]), None).sentences] == ["# Where"]


@given(st.text(st.sampled_from("ab #*:?.\n`|,1字。")))
def test_heads_stand_in_their_text_in_order(text: str) -> None:
    found = heads(text)
    assert all(0 <= head.start <= head.end <= len(text) for head in found)
    assert [head.start for head in found] == sorted(head.start for head in found)
