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


def test_the_heads_of_a_table_without_rules_are_never_quoted() -> None:
    text = PDF_TEXT.replace("Page 8501", "Tuning 7787 7788 tunes\nPage 8501")
    best = extract(Extract("Which back port does the Index service have?", [text], 20), None).sentences
    assert best[0].text == "Index 7783 7784 keeps documents and searches them"
    assert not any(sentence.text.startswith("Service Front port") for sentence in best)


def test_comma_separated_lines_are_rows() -> None:
    text = 'key,default,meaning\nask.rounds,6,"earlier rounds, that count"\nask.top_k,8,"passages"'
    told = [row.told for row in rows(text)]
    assert told == [
        "",
        "key ask.rounds; default 6; meaning earlier rounds, that count",
        "key ask.top_k; default 8; meaning passages",
    ]
    best = extract(Extract("How many rounds count?", [text], 1), None).sentences[0]
    assert best.text == 'ask.rounds,6,"earlier rounds, that count"'


def test_rows_with_bars_below_their_heads_are_told_with_them() -> None:
    text = "上限\n\n项目 | 默认上限\nPDF 的页数 | 5000 页；可以调高"
    assert [row.told for row in rows(text)] == ["", "项目 PDF 的页数; 默认上限 5000 页；可以调高"]
    assert extract(Extract("PDF 最多多少页？", [text], 1), None).sentences[0].text == "PDF 的页数 | 5000 页；可以调高"


def test_the_rest_of_a_table_has_no_heads() -> None:
    assert [row.told for row in rows("a | b\nc | d")] == ["a b", "c d"]


def test_prose_with_numbers_is_no_table() -> None:
    assert list(rows("The tower was built in 1889\nby 300 workers\nand 5 architects")) == []
