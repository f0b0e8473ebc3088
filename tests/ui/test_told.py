"""What services say appears in the page's language."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ui.labels import Labels
from ui.told import CHINESE, told

ROOT = Path(__file__).parents[2]
SOURCES = [path for part in ("clients", "services/index") for path in sorted((ROOT / part).rglob("*.py"))]


@pytest.fixture(scope="module")
def sources() -> str:
    return "\n".join(re.sub(r"\{[^{}]*\}", "{}", path.read_text(encoding="utf-8")) for path in SOURCES)


@pytest.mark.parametrize("english", CHINESE)
def test_a_service_still_says_it_like_this(english: str, sources: str) -> None:
    assert all(piece in sources for piece in english.split("{}"))


def test_what_changes_is_put_in_its_place() -> None:
    said = told("the PDF has 6001 pages; the limit is 5000", Labels("zh"))
    assert said == "PDF 有 6001 页，上限是 5000 页"
    assert told("opening page 3 took longer than 60 s", Labels("zh")) == "打开第 3 页超过了 60 秒"
    assert told("the file made its parser fail", Labels("zh")) == "解析文件时出错"
    assert told("this is an image ({PNG}), not a document", Labels("zh")) == "这是图片（{PNG}），不是文档"


def test_english_and_what_is_not_known_stay_as_they_are() -> None:
    assert told("the file is empty", Labels("en")) == "the file is empty"
    assert told("no such wording", Labels("zh")) == "no such wording"


@pytest.mark.parametrize("english", CHINESE)
def test_both_languages_hold_the_same_number_of_values(english: str) -> None:
    values = [f"v{i}" for i in range(english.count("{}"))]
    said = told(english.format(*values), Labels("zh"))
    assert all(value in said for value in values)
    assert said != english.format(*values)


def test_what_a_sentence_quotes_is_told_too() -> None:
    assert told("not reranked: llm.rerank took longer than it was given", Labels("zh")) == "没有重排：llm.rerank 超时"
