"""Do bytes of every kind become the text that people see in them?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.index.loaders import Loaded, Unreadable, decode, kind_of, load
from services.index.loaders.decoding import encoding_of
from services.index.loaders.radicals import without_radicals
from tests.data import make_documents as make

CHINESE = "检索增强生成把知识库与语言模型结合起来，先检索，再回答。"
TRADITIONAL = "檢索增強生成把知識庫與語言模型結合起來，先檢索，再回答。"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CHINESE, "utf-8"),
        (CHINESE, "utf-8-sig"),
        (CHINESE, "gbk"),
        (CHINESE, "gb18030"),
        ("a" * 70_000 + "\n" + CHINESE, "gbk"),
        (CHINESE, "utf-16"),
        ("notes about " + CHINESE, "utf-32"),
        ("plain English text without a mark", "utf-16-le"),
        ("plain English text without a mark", "utf-16-be"),
        (TRADITIONAL, "big5"),
        ("これは日本語の文章です。検索と生成を組み合わせます。", "shift_jis"),
        ("これは日本語の文章です。検索と生成を組み合わせます。", "euc_jp"),
        ("안녕하세요 이것은 한국어 문서입니다", "euc_kr"),
        ("Où est le café très agréable, señor? Schöne Grüße.", "latin-1"),
        ("“Quoted” – it’s Windows’ own encoding…", "cp1252"),
        ("Привет, это русский текст в старой кодировке, и его много", "cp1251"),
        ("", "utf-8"),
    ],
)
def test_an_encoding_is_told(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])))
def test_utf8_is_never_taken_for_something_else(text: str) -> None:
    raw = text.encode()
    if not raw.startswith((b"\xfe\xff", b"\xff\xfe")) and "\ufeff" not in text[:1]:
        assert encoding_of(raw) == "utf-8"


@given(st.binary(max_size=300), st.sampled_from(["a.txt", "a.md", "a.csv", "a.pdf", "a"]))
def test_any_bytes_become_text_or_a_reason(raw: bytes, name: str) -> None:
    if kind_or_none(raw, name) in ("pdf", "docx", "html"):
        return
    reason = reason_against(raw, name)
    assert reason is None or (reason.message and reason.help)


def reason_against(raw: bytes, name: str) -> Unreadable | None:
    try:
        assert "\r" not in load(raw, name, 10).text
    except Unreadable as error:
        return error
    return None


def kind_or_none(raw: bytes, name: str) -> str | None:
    try:
        return kind_of(raw, name)
    except Unreadable:
        return None


def test_a_damaged_byte_deep_in_a_text_does_not_change_its_encoding() -> None:
    raw = (CHINESE * 3000).encode() + b"\xff" + "，还有更多。".encode()
    assert decode(raw).endswith("，还有更多。")


def test_radicals_become_the_characters_they_stand_for() -> None:
    assert without_radicals("⽅法，使⽤⻚⾯（全角）") == "方法，使用页面（全角）"
    assert load(make.radical_pdf(), "x.pdf", 10).text == "使用方法。\n使用方法。"


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        (make.pdf("text"), "a.txt", "pdf"),
        (b"some text", "a.pdf", "plain"),
        (make.docx(), "a.pdf", "docx"),
        (make.PAGE, "a.txt", "html"),
        (b"<p>half a page</p>", "a.htm", "html"),
        (b"# T\n<html> in a text", "a.md", "markdown"),
        (b"print('<html>')", "a.py", "source"),
        (b"a,b\n1,2", "a.csv", "delimited"),
        (b"BMW is a car", "a.txt", "plain"),
        (make.png(), "a.txt", "image"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "a.txt", "image"),
        (b"all:\n\ttrue", "Makefile", "source"),
    ],
)
def test_the_content_decides_and_the_name_comes_second(content: bytes, name: str, kind: str) -> None:
    assert kind_of(content, name) == kind


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(9), "password-protected Office"),
        (b"PK\x03\x04 but damaged", "damaged archive"),
        (b"{\\rtf1 hello}", "RTF"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x7fELF\x02", "program"),
        (b"RIFF\0\0\0\0WAVE", "sound"),
    ],
)
def test_what_is_no_document_is_named(content: bytes, word: str) -> None:
    with pytest.raises(Unreadable, match=word) as refused:
        kind_of(content, "a.txt")
    assert refused.value.help


def test_a_page_without_its_menus_and_scripts() -> None:
    page = load(make.PAGE, "page", 10)
    assert page.text.startswith("知识库\n\nFirst bold paragraph, on two lines")
    assert "hidden" not in page.text
    assert "menu" not in page.text
    assert "imprint" not in page.text
    assert [(h.level, h.title) for h in page.headings] == [(1, "知识库"), (2, "Table")]
    assert [page.text[a:b] for a, b in page.blocks] == ["Name | Size\na | 1", "x = 1\ny = 2"]


def test_a_page_nested_deeper_than_the_stack() -> None:
    page = load(b"<html><body>" + b"<div>" * 2000 + b"deep words" + b"</div>" * 2000, "a.html", 10)
    assert "deep words" in page.text
    with pytest.raises(Unreadable, match="too deeply"):
        load(b"<html><body>" + b"<div>" * 5000 + b"deep words", "a.html", 10)


def test_a_word_document_with_headings_and_tables() -> None:
    document = load(make.docx(), "a.docx", 10)
    assert [(h.level, h.title) for h in document.headings] == [(1, "Annual report"), (2, "Prices")]
    assert [document.text[a:b] for a, b in document.blocks] == ["Fruit | Price\nApple | 3 | francs"]
    assert "- Apples became cheaper." in document.text


def test_a_pdf_has_headings_by_their_size_and_ruled_tables_as_markdown() -> None:
    document = load(make.report_pdf(), "a.pdf", 10)
    assert [(h.level, h.title) for h in document.headings] == [(1, "Annual report"), (2, "Prices"), (2, "Outlook")]
    table = "Fruit | Price \\| kg\n--- | ---\nApple | 3\nPears: none"
    assert [document.text[a:b] for a, b in document.blocks] == [table]
    assert document.text.startswith(
        "Annual report\n\nThe year was mild, and the harvest was good in every\nvalley.\n\nPrices\n\nFruit"
    )
    assert document.text[document.pages[1] :].startswith("Outlook\n\nThe next year")


def test_letters_of_one_size_make_no_headings() -> None:
    assert load(make.pdf("one size\nof letters", "on every page"), "a.pdf", 10).headings == []


def test_a_line_that_leaves_its_table_leaves_the_table_as_it_is() -> None:
    across = " ".join(f"50 {y} m 350 {y} l S" for y in (600, 620, 640))
    down = " ".join(f"{x} 600 m {x} 640 l S" for x in (50, 200, 350))
    words = "BT /F1 11 Tf 55 625 Td (Fruit) Tj ET BT /F1 11 Tf 305 605 Td (longer than its table is) Tj ET"
    document = load(make.drawn_pdf(f"{across} {down} {words}"), "a.pdf", 10)
    assert "longer than its table is" in document.text
    assert document.blocks == []


def test_pages_are_told_apart() -> None:
    document = load(make.pdf("The first page.", "The second page."), "a.pdf", 10)
    assert [document.text[at : at + 7] for at in document.pages] == ["The fir", "The sec"]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (CHINESE, "zh"),
        ("これは日本語です", "ja"),
        ("안녕하세요", "ko"),
        ("This is the text of a page in English, and that is it.", "en"),
        ("Buongiorno a tutti quanti voi", ""),
        ("", ""),
    ],
)
def test_the_language_is_told_by_its_script(text: str, language: str) -> None:
    assert Loaded(text, "text/plain").language == language
