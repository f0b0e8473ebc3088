"""Are texts cut at sentences, with nothing lost and no chunk above its limit?"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import groupby, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.errors import BadRequest
from clients.index import Chunking
from services.index.chunking import PARENT_TIMES, chunk
from services.index.chunks import Piece
from services.index.loaders import Heading, Loaded, load, load_text
from services.index.paragraphs import MAX_WORDS, MIN_WORDS, num_words
from services.index.sentences import sentences, width

WORDS = st.text(alphabet='abcde XY.!?,;:。！？，、知识库检索\n\t-*#|`1.e"”」é\u3000👍', max_size=400)
SIZES = st.integers(16, 120)


@st.composite
def documents(draw: st.DrawFn) -> Loaded:
    text = draw(WORDS)
    kind = draw(st.sampled_from(["plain", "markdown", "lines"]))
    return load_text(text, "x.csv", kind)


@st.composite
def chunkings(draw: st.DrawFn) -> Chunking:
    size = draw(SIZES)
    return Chunking(size, draw(st.integers(0, size - 1)), draw(st.booleans()))


@settings(max_examples=300, deadline=None)
@given(documents(), st.integers(1, 40))
def test_passages_of_paragraphs_lose_nothing_and_keep_their_limits(document: Loaded, times: int) -> None:
    text = document.text * times
    document = replace(document, text=text)
    pieces = list(chunk(document, Chunking(strategy="paragraphs")))
    covered = set()
    for piece in pieces:
        assert text[piece.start : piece.end] == piece.text == piece.text.strip() != ""
        assert num_words(piece.text) <= MAX_WORDS
        assert not covered & set(range(piece.start, piece.end))
        covered.update(range(piece.start, piece.end))
    assert all(i in covered or c.isspace() for i, c in enumerate(text))
    for before, after in pairwise(pieces):
        both = num_words(before.text) + num_words(after.text)
        # A word may go over the place where two sentences touch, and then counts once in their passage.
        assert min(num_words(before.text), num_words(after.text)) >= MIN_WORDS / 2 or both > MAX_WORDS - MIN_WORDS


def test_paragraphs_are_joined_until_there_are_fifty_words() -> None:
    text = "# One\n\n" + "\n\n".join(["a few words here " * 5] * 4) + "\n\n# Two\n\n" + "知识" * 60
    pieces = list(chunk(load_text(text, "a.md", "markdown"), Chunking(strategy="paragraphs")))
    assert [round(num_words(piece.text)) for piece in pieces] == [62, 82]
    assert pieces[1].text.startswith("a few words")
    assert pieces[0].heading == "One"


def test_a_paragraph_that_is_too_long_is_cut_at_sentences() -> None:
    text = "This sentence has eight words, as you see. " * 60
    pieces = list(chunk(load_text(text, "a"), Chunking(strategy="paragraphs")))
    assert all(piece.text.startswith("This") and piece.text.endswith("see.") for piece in pieces)
    assert all(50 <= num_words(piece.text) <= 200 for piece in pieces)


@settings(max_examples=200, deadline=None)
@given(documents(), SIZES)
def test_parents_hold_the_whole_text_once_and_keep_their_limit(document: Loaded, size: int) -> None:
    text = document.text
    pieces = list(chunk(document, Chunking(size, size - 1, strategy="parents")))
    assert [piece.parent for piece in pieces] == sorted(piece.parent for piece in pieces)
    assert {piece.parent for piece in pieces} == set(range(len({piece.parent for piece in pieces})))
    covered: set[int] = set()
    for piece in pieces:
        assert text[piece.start : piece.end] == piece.text == piece.text.strip() != ""
        assert width(piece.text) <= size
        assert not covered & set(range(piece.start, piece.end))
        covered.update(range(piece.start, piece.end))
    assert all(i in covered or c.isspace() for i, c in enumerate(text))
    for _, group in groupby(pieces, lambda piece: piece.parent):
        own = list(group)
        assert len({piece.heading for piece in own}) == 1
        assert width(text[own[0].start : own[-1].end]) <= PARENT_TIMES * size


def test_each_cell_is_a_chunk_below_its_row() -> None:
    loaded = load(b"Fruit,Price,Note\nApple,3,red|round\nPear,4,\n", "a.csv", 1)
    pieces = list(chunk(loaded, Chunking(strategy="cells")))
    assert [(piece.text, piece.heading) for piece in pieces] == [
        ("Fruit: Apple", ""), ("Price: 3", "Fruit: Apple"), ("Note: red\\|round", "Fruit: Apple"),
        ("Fruit: Pear", ""), ("Price: 4", "Fruit: Pear"),
    ]  # fmt: skip
    assert all(loaded.text[piece.start : piece.end] == piece.text for piece in pieces)


def test_lines_and_a_strategy_exclude_each_other() -> None:
    with pytest.raises(BadRequest, match="exclude each other"):
        list(chunk(load_text("x", "a"), Chunking(by_line=True, strategy="cells")))


@settings(max_examples=400, deadline=None)
@given(documents(), chunkings())
def test_nothing_is_lost_and_nothing_is_too_long(document: Loaded, chunking: Chunking) -> None:
    pieces = list(chunk(document, chunking))
    covered = set()
    for piece in pieces:
        assert document.text[piece.start : piece.end] == piece.text
        assert piece.text == piece.text.strip() != ""
        assert width(piece.text) <= chunking.size
        covered.update(range(piece.start, piece.end))
    assert all(i in covered or c.isspace() for i, c in enumerate(document.text))


@settings(max_examples=200, deadline=None)
@given(documents(), chunkings())
def test_chunks_come_in_order_and_each_says_something_new(document: Loaded, chunking: Chunking) -> None:
    pieces = list(chunk(document, chunking))
    for before, after in pairwise(pieces):
        assert before.start < after.start
        assert before.end < after.end


@settings(max_examples=200, deadline=None)
@given(WORDS, chunkings())
def test_an_overlap_begins_at_a_sentence_and_keeps_its_size(text: str, chunking: Chunking) -> None:
    if chunking.by_line:
        return
    starts = {
        start + len(text[start:end]) - len(text[start:end].lstrip()) for start, end in sentences(text, 0, len(text))
    }
    pieces = list(chunk(load_text(text, "x"), chunking))
    for before, after in pairwise(pieces):
        if after.start < before.end:
            assert after.start in starts
            assert width(text[after.start : before.end]) <= chunking.overlap


@settings(max_examples=100, deadline=None)
@given(WORDS, SIZES)
def test_by_line_no_two_lines_share_a_chunk(text: str, size: int) -> None:
    pieces = list(chunk(load_text(text, "x"), Chunking(size, 0, by_line=True)))
    assert all("\n" not in piece.text for piece in pieces)


def cut(text: str, size: int, overlap: int = 0, kind: str = "plain") -> list[str]:
    return [piece.text for piece in chunk(load_text(text, "x", kind), Chunking(size, overlap))]


def test_chinese_is_cut_between_sentences() -> None:
    text = "第一句话在这里。第二句话也在这里！第三句话问什么？“第四句有引号。”第五句。"
    assert cut(text, 40) == ["第一句话在这里。第二句话也在这里！", "第三句话问什么？“第四句有引号。”第五句。"]


def test_english_abbreviations_end_no_sentence() -> None:
    text = "Dr. Smith met J. Doe, e.g. at noon, cf. Fig. 3. They talked. It cost 3.50 francs."
    spans = [text[a:b].strip() for a, b in sentences(text, 0, len(text))]
    assert spans == ["Dr. Smith met J. Doe, e.g. at noon, cf. Fig. 3.", "They talked.", "It cost 3.50 francs."]


def test_the_last_chunk_is_no_mere_repeat() -> None:
    text = " ".join(f"Sentence number {i} is here." for i in range(12))
    pieces = cut(text, 100, 60)
    assert len(pieces) > 4
    assert all(not a.endswith(b) for a, b in pairwise(pieces))
    for before, after in pairwise(pieces):
        first = re.match(r"Sentence number \d+ is here\.", after)
        assert first is not None
        assert first.group() in before


def test_a_table_and_code_stay_whole_where_they_fit() -> None:
    table = "| a | b |\n|---|---|\n| 1. Yes. | 2 |"
    code = "```\nx = 1.\n\ny = 2\n```"
    text = f"Some words before. {'More words. ' * 4}\n\n{table}\n\nBetween them. {'Filler words. ' * 3}\n\n{code}\n"
    pieces = cut(text, 80, kind="markdown")
    assert any(table in piece for piece in pieces)
    assert any(code in piece for piece in pieces)


def test_a_chunk_knows_its_headings_and_page() -> None:
    text = "# Guide\n\nIntro.\n\n## Setup\n\nInstall it.\n\n### Linux\n\nUse pip.\n\n## Use\n\nRun it.\n\n"
    text += "```\n# no heading\n```\n"
    pieces = list(chunk(load_text(text, "x", "markdown"), Chunking(200, 0)))
    assert [p.heading for p in pieces] == ["Guide", "Guide > Setup", "Guide > Setup > Linux", "Guide > Use"]
    paged = Loaded("one page\n\ntwo page\n\nthree page", "application/pdf", pages=[0, 10, 20])
    assert [p.page for p in chunk(paged, Chunking(16, 0))] == [1, 2, 3]


def test_headings_below_each_other_stay_with_their_text() -> None:
    text = "# One\n\n## Two\n\nThe text."
    assert list(chunk(load_text(text, "x", "markdown"), Chunking(100, 0))) == [
        Piece(text, 0, len(text), 0, "One > Two")
    ]


def test_a_heading_longer_than_a_chunk_is_cut_like_text() -> None:
    title = "word " * 30
    document = Loaded(title + "\nbody", "text/html", headings=[Heading(0, len(title), 1, title)])
    assert all(width(p.text) <= 40 for p in chunk(document, Chunking(40, 0)))


@pytest.mark.parametrize(("size", "overlap"), [(100, 100), (100, 200), (100, -1), (3, 0), (10**6, 0)])
def test_sizes_that_make_no_sense_are_refused(size: int, overlap: int) -> None:
    with pytest.raises(BadRequest):
        list(chunk(load_text("text", "x"), Chunking(size, overlap)))


def test_a_new_page_begins_a_new_chunk() -> None:
    first, second = "The first page speaks of ports and services. " * 3, "The second page has the limits of files."
    document = Loaded(f"{first}\n{second}", "application/pdf", pages=[0, len(first) + 1])
    pieces = list(chunk(document, Chunking(size=400, overlap=50)))
    assert [(piece.page, piece.text) for piece in pieces] == [(1, first.strip()), (2, second)]


def test_a_scrap_of_a_page_stays_with_the_next_one() -> None:
    document = Loaded("Contents\nThe second page has the limits of files.", "application/pdf", pages=[0, 9])
    assert len(list(chunk(document, Chunking(size=400, overlap=50)))) == 1
