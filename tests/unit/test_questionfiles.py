"""Test sets in files: JSON Lines, CSV and BEIR in, JSON Lines and CSV out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from clients.errors import BadRequest, NotFound
from clients.testsets import Question, Relevant
from ui.questionfiles import as_csv, as_jsonl, read_file, read_text

HANDBOOK = Path(__file__).parents[1] / "data" / "handbook_questions.jsonl"
words = some.text(min_size=1, max_size=30).filter(str.strip)
passages = some.builds(Relevant, words, some.text(max_size=20), words, some.integers(0, 9), some.integers(0, 9))
questions = some.lists(
    some.builds(Question, words, some.lists(passages, max_size=3), some.text(max_size=20), some.booleans()),
    min_size=1, max_size=4, unique_by=lambda one: one.text,
)  # fmt: skip


@given(questions)
def test_json_lines_give_every_question_back(given_: list[Question]) -> None:
    assert read_text(as_jsonl(given_), "set.jsonl") == given_


def test_csv_gives_words_and_documents_back() -> None:
    found = [
        Question("Why, and how?", [Relevant("a.txt", 'one "quoted"\nline'), Relevant("b.txt")], "So."),
        Question("谁赢了？", must_abstain=True),
    ]
    assert read_text(as_csv(found), "set.CSV") == found


def test_judged_wrong_passages_are_left_out_of_csv() -> None:
    one = Question("Why?", [Relevant("a.txt", grade=0), Relevant("b.txt")])
    assert read_text(as_csv([one]), "x.csv") == [Question("Why?", [Relevant("b.txt")])]


def test_the_questions_of_the_handbook_are_read_with_those_that_have_no_answer() -> None:
    found = read_file(HANDBOOK)
    assert found[0].relevant == [Relevant("services-and-ports.pdf")]
    assert found[0].answer == "7783"
    assert any(one.must_abstain for one in found)
    assert all(one.answering or one.must_abstain for one in found)


def test_a_directory_in_beir_layout_keeps_its_grades(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d1", "text": "wings"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "what flies?"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("q\tc\ts\nq1\td1\t2\nq1\td2\t0\n")
    assert read_file(tmp_path) == [Question("what flies?", [Relevant("d1", grade=2), Relevant("d2", grade=0)])]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.jsonl", "", "no questions"),
        ("a.jsonl", "{", "a.jsonl:1: not JSON"),
        ("a.jsonl", "\n[]", "a.jsonl:2: expected a JSON object"),
        ("a.jsonl", '{"question": 3}', "a.jsonl:1: "),
        ("a.jsonl", '{"question": "q", "documents": "d"}', "'documents' is not a list"),
        ("a.jsonl", '{"question": "q", "relevant": [{"wrong": "d"}]}', "wrong"),
        ("a.csv", "frage,document\nq,d\n", "no column 'question'"),
        ("a.csv", "question,document\n ,d\n", "a.csv:2: the question is empty"),
    ],
)
def test_what_is_no_test_set_is_refused_with_file_and_line(name: str, text: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        read_text(text, name)


def test_a_file_that_is_missing_or_not_text_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such file"):
        read_file(tmp_path / "none.jsonl")
    (tmp_path / "x.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadRequest, match="cannot be read as text"):
        read_file(tmp_path / "x.jsonl")
