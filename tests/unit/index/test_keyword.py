"""Are words and pairs of Chinese characters found, whatever the question looks like?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.index.content import content_of
from services.index.entries import Entry
from services.index.keyword import KeywordIndex, KeywordIndexes
from services.index.tokens import telling_tokens, tokens


def stored(id_: str, text: str, heading: str = "") -> Entry:
    return Entry(id_, content_of(text, heading), np.zeros(2, np.float32))


@pytest.fixture
def index(tmp_path: Path) -> KeywordIndex:
    made = KeywordIndex(tmp_path / "words")
    made.update(
        [
            stored("zh", "RAG 的核心是知识库，检索的方法很多。"),
            stored("en", "The running dogs of RFC9110 chase mice."),
            stored("code", "call read_file(path) then parse_json", "API > Files"),
            stored("wide", "ＡＢＣ１２３ 全角 ﬁle"),
            stored("tw", "感測器每週校準一次，乾淨的環境很重要。"),
        ]
    )
    return made


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("知识", "zh"),
        ("检索方法", "zh"),
        ("知识库的方法是什么？", "zh"),
        ("知識庫", "zh"),
        ("檢索的方法是什麼？", "zh"),
        ("感测器", "tw"),
        ("校准", "tw"),
        ("校準", "tw"),
        ("dog", "en"),
        ("Dogs run", "en"),
        ("rfc9110", "en"),
        ("parse_json", "code"),
        ("files", "code"),
        ("abc123", "wide"),
        ("file", "wide"),
    ],
)
def test_a_question_finds_its_chunk(index: KeywordIndex, question: str, found: str) -> None:
    assert found in [match.id for match in index.search(question, 5)]


@pytest.mark.parametrize("question", ['"', "dogs AND (", "body:dogs^9 ~ [a TO b]", "id:en", "*", "🙂", "of the", "\0"])
def test_a_question_is_never_a_query_language(index: KeywordIndex, question: str) -> None:
    assert len(index.search(question, 5)) <= 5


@given(st.text(max_size=80))
def test_tokens_are_short_and_in_lower_case(text: str) -> None:
    for token in tokens(text):
        assert 0 < len(token) <= 64
        assert not any(c.isspace() for c in token)
    telling_tokens(text)


def test_only_the_named_chunks_are_scored(index: KeywordIndex) -> None:
    assert [m.id for m in index.search("dogs 知识 file", 9, ["en", "zh", "never"])] != []
    assert {m.id for m in index.search("dogs 知识 file", 9, ["en"])} == {"en"}
    assert index.search("dogs", 9, []) == []
    everywhere = {m.id: m.score for m in index.search("dogs mice", 9)}
    assert index.search("dogs mice", 9, ["en"])[0].score == pytest.approx(everywhere["en"])


@pytest.mark.parametrize("share", [2, 3, 50])
@pytest.mark.parametrize("word", ["common", "seldom", "common seldom"])
def test_a_search_among_many_finds_what_a_search_of_all_has_of_them(index: KeywordIndex, share: int, word: str) -> None:
    index.update(
        stored(f"n{i}", f"common {'seldom ' * (i % 97 == 0)}{'filler ' * (i % 13)}number {i}") for i in range(1500)
    )
    among = [f"n{i}" for i in range(1500) if i % share or share == 2] + [f"gone{i}" for i in range(600)]
    wanted = [match for match in index.search(word, 1500) if match.id in set(among)][:40]
    found = index.search(word, 40, among)
    assert [match.score for match in found] == pytest.approx([match.score for match in wanted], abs=1e-5)
    assert {match.id for match in found} <= set(among)


def test_writing_again_replaces_and_deleting_forgets(index: KeywordIndex) -> None:
    index.update([stored("en", "Only cats live here.")], gone=["zh"])
    assert index.search("dogs", 5) == []
    assert index.search("cats", 5)[0].id == "en"
    assert index.ids() == {"en", "code", "wide", "tw"}
    assert index.count() == 4


def test_rare_words_tell_more(index: KeywordIndex) -> None:
    index.update([stored(f"n{i}", f"common word number{i}") for i in range(20)])
    rarity = index.rarity(["common", "number7", "absent"])
    assert rarity["common"] < rarity["number7"] < rarity["absent"]


def test_an_index_of_another_version_is_made_anew(index: KeywordIndex, tmp_path: Path) -> None:
    index.close()
    (tmp_path / "words" / "version").write_text("0")
    assert KeywordIndex(tmp_path / "words").count() == 0


def test_question_words_do_not_count() -> None:
    assert telling_tokens("What is the capital of France?") == ["capital", "france"]
    assert telling_tokens("什么是知识库？") == ["知识", "识库"]
    assert telling_tokens("the of") == ["the", "of"]


def test_a_hundred_collections_do_not_hold_a_hundred_writers(tmp_path: Path) -> None:
    indexes = KeywordIndexes(tmp_path)
    for number in range(6):
        indexes.update(f"c{number}", [stored("a", f"word{number}")])
    assert [index._writer is not None for index in indexes._open.values()] == [False] * 5 + [True]
    indexes.update("c0", gone=["a"])
    assert indexes.of("c0").count() == 0
    assert indexes.of("c3").search("word3", 5)[0].id == "a"
    indexes.drop("c0")
    indexes.update("c0", [stored("b", "anew")])
    assert indexes.of("c0").ids() == {"b"}
    indexes.close()
