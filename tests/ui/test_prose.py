"""Text from outside shows as it is, whatever it contains."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from ui.prose import Block, Span, escaped, quoted, shortened, written


def text_of(blocks: list[Block]) -> str:
    return "\n".join("".join(span.text for span in block.spans) for block in blocks)


def chips(blocks: list[Block]) -> list[Span]:
    return [span for block in blocks for span in block.spans if span.look == "chip"]


def test_a_quoted_sentence_is_shown_on_one_line() -> None:
    assert text_of(quoted("broken by\n   the page", {})) == "broken by the page"
    assert text_of(quoted("被页面\n  断开的句子", {})) == "被页面断开的句子"


def test_a_quoted_sentence_ends_with_its_chip() -> None:
    (block,) = quoted("Ragq needs no card. [2]", {2: 0})
    assert block.spans == [Span("Ragq needs no card."), Span(" "), Span("2", "chip", 0)]


def test_two_sentences_of_one_passage_open_at_their_own_words() -> None:
    blocks = quoted("First. [1]\n\nSecond. [1]", {1: 0}, in_order=True)
    assert [chip.target for chip in chips(blocks)] == [0, 1]


def test_brackets_in_a_document_are_not_chips() -> None:
    blocks = quoted("As shown in [1], it works [7].", {1: 0})
    assert chips(blocks) == []
    assert text_of(blocks) == "As shown in [1], it works [7]."


def test_a_table_row_reads_as_its_cells() -> None:
    assert text_of(quoted("| `ragq up` | starts | [1]", {1: 0})) == "ragq up · starts 1"


def test_the_marks_of_a_line_are_not_words() -> None:
    assert text_of(quoted("pages | 5000 | index.max_pages [1]", {1: 0})) == "pages · 5000 · index.max_pages 1"
    assert text_of(quoted("a | b", {})) == "a | b"
    assert text_of(quoted("## Start it", {})) == "Start it"
    assert text_of(quoted('``` ragq ask "why?" [1]', {1: 0})) == 'ragq ask "why?" 1'
    assert text_of(quoted("C# is not a heading", {})) == "C# is not a heading"


def test_markup_of_a_document_stays_text() -> None:
    hostile = "<img src=x onerror=alert(1)> [click](http://evil) ![i](http://evil/a.png) [1]"
    (block,) = quoted(hostile, {1: 0})
    assert text_of([block]).startswith("<img src=x onerror=alert(1)> [click](http://evil) ![i](http://evil/a.png)")
    assert {span.look for span in block.spans} == {"plain", "chip"}


def test_a_written_answer_keeps_lists_bold_and_code() -> None:
    text = "# Ports\nThe **front** port [1]:\n\n- `7783` for clients\n2. workers\n\n```yaml\nport: 1 # [1]\n```\nend"
    blocks = written(text, {1: 4})
    assert [block.shape for block in blocks] == ["heading", "paragraph", "item", "number", "code", "paragraph"]
    assert Span("front", "strong") in blocks[1].spans
    assert Span("1", "chip", 4) in blocks[1].spans
    assert blocks[2].spans[0] == Span("7783", "code")
    assert blocks[4].spans == [Span("port: 1 # [1]", "code")]


def test_a_marker_without_a_passage_stays_text() -> None:
    assert chips(written("See [9].", {1: 0})) == []


def test_lines_of_one_paragraph_stay_together() -> None:
    assert [text_of([block]) for block in written("one\ntwo\n\nthree", {})] == ["one\ntwo", "three"]


@given(some.text())
def test_no_text_breaks_a_written_answer(text: str) -> None:
    """Nothing is lost but blanks and the marks of lists, headings, bold and code."""
    kept = text_of(written(text, {1: 0}))
    for word in text.split():
        if word.isalnum():
            assert word in kept or "`" in text


@given(some.text(alphabet=some.characters(exclude_characters="|*`[]#\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")))
def test_a_quoted_sentence_shows_as_it_is(text: str) -> None:
    if text.strip():
        assert text_of(quoted(text, {})) == " ".join(text.split())


def test_escaped_text_has_no_markdown_left() -> None:
    assert escaped("*a* [b](c) $x$ <b>") == r"\*a\* \[b\]\(c\) \$x\$ \<b\>"
    assert escaped("a\nb") == "a b"
    assert escaped(":red[x]") == ":\u2060red\\[x\\]"
    assert ":smile:" not in escaped(":smile:")
    assert ":material/home:" not in escaped(":material/home:")
    assert escaped("12:30") == "12:30"


def test_a_long_name_is_cut() -> None:
    assert shortened("a" * 50, 10) == "a" * 9 + "…"
    assert shortened("short\nname", 10) == "short name"
