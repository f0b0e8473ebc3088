"""Do workbooks, tables in text files, records and slides become lines in which every value has its name?"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.index.loaders import Loaded, Unreadable, load
from services.index.loaders import tables as tables_module
from services.index.loaders.formats import Formats
from tests.data import make_office as make
from tests.data.make_office import formula, row, styled

SALES = (
    row(1, A="Sales of the year")
    + row(2, A="Fruit", B="Price", C="Since")
    + row(3, A="Apple", B=1.5, C=styled(45717, 1))
    + row(5, A="Pear | green", C=styled(45717.604166666664, 2))
)


def read(raw: bytes, name: str) -> Loaded:
    return load(raw, name, 10)


def lines(raw: bytes, name: str) -> list[str]:
    return [line for line in read(raw, name).text.split("\n") if line]


def test_a_workbook_has_its_sheets_as_headings_and_its_rows_as_lines_with_titles() -> None:
    found = read(
        make.workbook(
            {"Fruit 2025": SALES, "Empty": "", "人员": row(1, A="姓名", B="城市") + row(2, A="李雷", B="上海")}
        ),
        "a.xlsx",
    )
    assert found.text == (
        "Fruit 2025\n\nSales of the year\nFruit: Apple | Price: 1.5 | Since: 2025-03-01\n"
        "Fruit: Pear \\| green | Since: 2025-03-01 14:30\n\n人员\n\n姓名: 李雷 | 城市: 上海"
    )
    assert [(h.title, found.text[h.start : h.end]) for h in found.headings] == [("Fruit 2025",) * 2, ("人员",) * 2]
    assert found.is_lines


def test_formulas_are_read_as_the_value_that_was_last_seen() -> None:
    rows = (
        row(1, A="What", B="Value") + row(2, A="sum", B=formula("SUM(A1:A9)", "12")) + row(3, A="new", B=formula("1+1"))
    )
    assert lines(make.workbook({"S": rows}), "a.xlsx")[1:] == ["What: sum | Value: 12", "What: new | Value: =1+1"]


def test_shared_texts_truth_values_and_errors() -> None:
    rows = row(
        1, A='<c PLACE t="s"><v>1</v></c>', B='<c PLACE t="b"><v>1</v></c>', C='<c PLACE t="e"><v>#DIV/0!</v></c>',
        D='<c PLACE t="str"><f>A1</f><v>made</v></c>',
    )  # fmt: skip
    book = make.workbook({"S": rows}, strings=("first", "second"))
    assert lines(book, "a.xlsx")[1:] == ["second | TRUE | #DIV/0! | made"]
    with pytest.raises(Unreadable, match="text 1, which is not there"):
        read(make.workbook({"S": rows}, strings=("first",)), "a.xlsx")


def test_merged_titles_go_before_those_below_and_merged_values_count_in_every_row() -> None:
    rows = (
        row(1, A="Region", B="2024", D="2025")
        + row(2, B="Q1", C="Q2", D="Q1")
        + row(3, A="North", B=1, C=2, D=3)
        + row(4, B=4, C=5, D=6)
        + "<mergeCells><mergeCell ref='x'/>"
    ).replace("<mergeCell ref='x'/>", "".join(f'<mergeCell ref="{ref}"/>' for ref in ("A1:A2", "B1:C1", "A3:A4")))
    assert lines(make.workbook({"S": rows + "</mergeCells>"}), "a.xlsx")[1:] == [
        "Region: North | 2024 / Q1: 1 | 2024 / Q2: 2 | 2025 / Q1: 3",
        "Region: North | 2024 / Q1: 4 | 2024 / Q2: 5 | 2025 / Q1: 6",
    ]


def test_hidden_sheets_are_left_out() -> None:
    sheets = {"Shown": row(1, A="seen"), "Secret": row(1, A="unseen")}
    assert lines(make.workbook(sheets, hidden="Secret"), "a.xlsx") == ["Shown", "seen"]
    with pytest.raises(Unreadable, match="hidden") as refused:
        read(make.workbook({"Secret": row(1, A="unseen")}, hidden="Secret"), "a.xlsx")
    assert "show the sheets" in refused.value.help


def test_a_sheet_of_numbers_has_no_titles() -> None:
    book = make.workbook({"S": row(1, A=1, B=2) + row(2, A=3, B=4)})
    assert lines(book, "a.xlsx")[1:] == ["1 | 2", "3 | 4"]


def test_a_table_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables_module, "MAX_CELLS", 5)
    with pytest.raises(Unreadable, match="more than 5 cells") as refused:
        read(make.workbook({"S": SALES}), "a.xlsx")
    assert "split it" in refused.value.help
    with pytest.raises(Unreadable, match="more than 5 cells"):
        read(b"a,b\n1,2\n3,4\n5,6\n", "a.csv")


def test_entities_are_not_unfolded() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]>' + f'<sst xmlns="{make.SHEETS}"><si><t>&a;&a;</t></si></sst>'
    book = make.workbook({"S": row(1, A="x")})
    members = {"xl/sharedStrings.xml": bomb, **_members(book)}
    members["xl/sharedStrings.xml"] = bomb.encode()
    with pytest.raises(Unreadable, match="entities"):
        read(make.packed(members), "a.xlsx")


def _members(raw: bytes) -> dict[str, str | bytes]:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize(
    ("value", "format_", "shown"),
    [
        ("45717", "yyyy-mm-dd", "2025-03-01"),
        ("59", "d/m/yyyy", "1900-02-28"),
        ("61", "d/m/yyyy", "1900-03-01"),
        ("45717.75", 'yyyy"年"m"月"d"日" h:mm', "2025-03-01 18:00"),
        ("0.5", "h:mm", "12:00"),
        ("1.5", "[h]:mm:ss", "36:00:00"),
        ("99999999", "yyyy", "99999999"),
        ("0.125", "0.0%", "12.5%"),
        ("1234567.5", "#,##0.00", "1234567.50"),
        ("0.1", "General", "0.1"),
        ("0.30000000000000004", "", "0.3"),
        ("12345678901234567", "", "12345678901234568"),
        ("3", '"about "0', "3"),
        ("19.9", "[$€-407]#,##0.00", "€19.90"),
        ("5", "0;[Red]-0", "5"),
        ("none", "0", "none"),
    ],
)
def test_numbers_are_shown_as_people_read_them(value: str, format_: str, shown: str) -> None:
    from lxml import etree

    code = format_.replace("&", "&amp;").replace('"', "&quot;")
    styles = etree.fromstring(
        f'<styleSheet xmlns="{make.SHEETS}"><numFmts><numFmt numFmtId="170" formatCode="{code}"/></numFmts>'
        '<cellXfs><xf numFmtId="170"/></cellXfs></styleSheet>'
    )
    assert Formats(styles).shown(value, "0") == shown


def test_days_of_old_macs_count_from_1904() -> None:
    from lxml import etree

    assert Formats(etree.fromstring(make.STYLES), is_1904=True).shown("44255", "1") == "2025-03-01"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Name,Size\nball,3\ncube,4\n", ["Name: ball | Size: 3", "Name: cube | Size: 4"]),
        ('Name;Note\nball;"red; round"\n', ["Name: ball | Note: red; round"]),
        ('a\tb\nx\t"two\nlines"\n', ["a: x | b: two lines"]),
        ("1,2\n3,4\n", ["1 | 2", "3 | 4"]),
        ("姓名，城市\n", ["姓名，城市"]),
        ("one column\nonly\n", ["one column", "only"]),
        ('Name,Size\n"never closed,3\n', ["Name,Size", '"never closed,3']),
        ("Name,Price\nball,$ 3\n,\ncube,\n", ["Name: ball | Price: $ 3", "Name: cube"]),
        ("名称,城市\n球,上海\n", ["名称: 球 | 城市: 上海"]),
    ],
)
def test_the_character_between_values_is_found(text: str, expected: list[str]) -> None:
    assert lines(text.encode(), "a.csv") == expected
    assert lines(text.encode("gb18030"), "a.tsv") == expected


@given(st.text(alphabet='ab,;\t|"\n1 知', min_size=1))
def test_no_value_of_a_table_is_lost(text: str) -> None:
    if not text.strip():
        return
    kept = set(load(text.encode(), "a.csv", 1).text)
    assert set(text) & set("ab1知") <= kept


def test_records_have_their_names() -> None:
    rows = [{"name": "ball", "size": {"cm": 3}, "tags": ["red", "round"]}, {"name": "cube", "none": None}]
    expected = ["name: ball | size.cm: 3 | tags: red, round", "name: cube"]
    assert lines(json.dumps(rows).encode(), "a.json") == expected
    assert lines("\n".join(map(json.dumps, rows)).encode(), "a.jsonl") == expected


def test_one_record_has_a_line_for_each_value() -> None:
    assert lines(b'{"title": "Rules", "rules": [{"n": 1, "text": "be kind"}]}', "a.json") == [
        "title: Rules",
        "rules[0].n: 1",
        "rules[0].text: be kind",
    ]


def test_broken_json_is_kept_as_it_is_and_bottomless_json_is_refused() -> None:
    assert lines(b'{"a": 1,\n', "a.json") == ['{"a": 1,']
    for raw in (b"[" * 200_000, b"[" * 60 + b"{}" + b"]" * 60):
        with pytest.raises(Unreadable, match="levels deep"):
            read(raw, "a.json")


def test_slides_are_pages_with_titles_tables_and_notes() -> None:
    found = read(
        make.slides(
            make.shape("First point\nSecond point") + make.shape("Our year", "ctrTitle") + make.shape("3", "sldNum"),
            make.shape("not shown"),
            make.shape("Prices", "title") + make.table(("Fruit", "Price"), ("Apple", "3")),
            hidden=2,
            notes={1: "Say hello first."},
        ),
        "a.pptx",
    )
    assert found.text == (
        "Our year\n\nFirst point\nSecond point\n\nNotes: Say hello first.\n\nPrices\n\nFruit | Price\nApple | 3"
    )
    assert [h.title for h in found.headings] == ["Our year", "Prices"]
    assert found.text[found.pages[2] :].startswith("Prices")
    assert len(found.pages) == 3
    assert [found.text[a:b] for a, b in found.blocks] == ["Fruit | Price\nApple | 3"]
    with pytest.raises(Unreadable, match="11 slides"):
        read(make.slides(*["<p:sp/>"] * 11), "a.pptx")


def test_a_letter_has_a_subject_people_a_text_and_the_names_of_its_files() -> None:
    letter = (
        b"Subject: =?utf-8?b?5Lya6K6u?=\r\nFrom: Ann <ann@example.org>\r\nTo: bob@example.org\r\n"
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>We meet <b>on Monday</b>.</p>\r\n"
        b'--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename="plan.pdf"\r\n\r\n'
        b"x\r\n--b--\r\n"
    )
    found = read(letter, "a.eml")
    assert found.text == (
        "会议\n\nFrom: Ann <ann@example.org>\nTo: bob@example.org\n\nWe meet on Monday.\n\nAttached: plan.pdf"
    )
    with pytest.raises(Unreadable, match="no header"):
        read(b"\njust a text", "a.eml")


PROGRAMS = {
    "a.py": (
        "import os\n\n\n@cache\ndef one(x):\n    return x\n\n\nclass Two:\n    def three(self):\n        pass\n",
        ["one", "Two", "three"],
    ),
    "a.ts": (
        "export const add = (a, b) => a + b;\n\n// doubles\nexport async function twice(n) {\n}\n",
        ["add", "twice"],
    ),
    "a.go": ("package main\n\nfunc (s *Server) Run(x int) error {\n}\ntype T struct {}\n", ["Run"]),
    "a.rs": (
        "#[test]\npub(crate) fn works() {}\nimpl Thing {\n    fn inner(&self) {}\n}\n",
        ["works", "Thing", "inner"],
    ),
    "a.java": ("public class A {\n    private static class B {}\n}\n", ["A", "B"]),
    "a.c": ("#include <a.h>\n\nstatic int *find(char *s)\n{\n  return 0;\n}\nint x = f(1);\n", ["find"]),
    "a.sql": ("-- people\ncreate table if not exists people (id int);\nselect 1;\n", ["people"]),
    "a.sh": ("set -e\nstart() {\n  true\n}\n", ["start"]),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_functions_and_classes_of_a_program_are_its_headings(name: str) -> None:
    text, names = PROGRAMS[name]
    found = read(text.encode(), name)
    assert found.text == text
    assert [h.title for h in found.headings] == names
    assert all(found.headings[i].end <= found.headings[i + 1].start for i in range(len(names) - 1))


def test_what_stands_right_above_a_function_belongs_to_it() -> None:
    found = read(PROGRAMS["a.py"][0].encode(), "a.py")
    assert found.text[found.headings[0].start : found.headings[0].end] == "@cache\ndef one(x):"
