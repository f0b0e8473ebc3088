"""A question about a cell finds its row, and never the row of heads."""

from __future__ import annotations

from clients.llm import Extract
from services.llm.extract import extract
from services.llm.tables import rows

TABLE = """Exit codes of the command:

| exit code | means |
|---|---|
| 0 | done |
| 3 | a port is in use |
| 4 | a model is missing |

That is all there is."""


def test_a_row_is_told_with_the_heads_of_its_columns() -> None:
    told = [row.told for row in rows(TABLE)]
    assert told == [
        "",
        "",
        "exit code 0; means done",
        "exit code 3; means a port is in use",
        "exit code 4; means a model is missing",
    ]


def test_offsets_are_those_of_the_line() -> None:
    row = list(rows(TABLE))[3]
    assert TABLE[row.start : row.end] == "| 3 | a port is in use |"


def test_a_table_without_heads_is_told_cell_by_cell() -> None:
    assert [row.told for row in rows("| a | b |\n| c | d |")] == ["a b", "c d"]


def test_a_question_about_a_cell_is_answered_by_its_row() -> None:
    best = extract(Extract("What does exit code 3 mean?", [TABLE], 1), None).sentences[0]
    assert best.text == "| 3 | a port is in use |"
    assert TABLE[best.start : best.end] == best.text


PDF_TEXT = """Table 1: ports
Service Front port Back port Does
LLM 7781 7782 embeds, reranks and generates
Index 7783 7784 keeps documents and searches them
Page 8501 none the web page for people
A client needs the front ports only, so these are the ones to open in a firewall between
machines of one mesh; the back ports are for workers."""


def test_the_lines_of_a_table_without_rules_stay_apart() -> None:
    best = extract(Extract("What does Index 7783 keep?", [PDF_TEXT], 1), None).sentences[0]
    assert best.text == "Index 7783 7784 keeps documents and searches them"


def test_wrapped_prose_stays_together() -> None:
    best = extract(Extract("Which ports must a firewall open for a client?", [PDF_TEXT], 1), None).sentences[0]
    assert best.text.startswith("A client needs")
    assert best.text.endswith("for workers.")


def test_rows_of_a_word_table_stay_apart() -> None:
    text = "格式 | 说明\nPDF | 需要有文字层，扫描件先做文字识别\nDOCX | 段落、标题和表格都会保留"
    best = extract(Extract("DOCX 会保留什么？", [text], 1), None).sentences[0]
    assert best.text == "DOCX | 段落、标题和表格都会保留"
