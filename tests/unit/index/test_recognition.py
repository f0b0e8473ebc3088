"""Are scanned pages and pictures read, page by page, each once, and is it said when they are not?"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients import editing, pages
from clients import index as contract
from services.index import schema
from services.index.loaders import SeenLine, Unreadable, Unseen, is_installed, load
from services.index.loaders.images import opened, pixels_of
from services.index.loaders.reading_order import Piece, in_reading_order
from services.index.loaders.spacing import spaced
from services.index.migrations import MIGRATIONS, SCANS
from services.index.originals import Originals
from services.index.scans import Scans
from services.index.schema import Database
from tests.data import make_documents as make

ENGLISH = (
    (34, "Regulations"),
    (18, "Every ship reports to the harbour master before it"),
    (18, "enters, and pays forty crowns for each night."),
)
CHINESE = ((34, "港口规则"), (18, "每艘船进港之前必须向港务长报告，"), (18, "每晚付四十克朗。"))
LATIN_FONT = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
CHINESE_FONT = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")
needs_extra = pytest.mark.skipif(not is_installed(), reason="pip install 'ragq[ocr]'")
needs_fonts = pytest.mark.skipif(
    not (LATIN_FONT.exists() and CHINESE_FONT.exists()), reason="apt-get install fonts-dejavu-core fonts-noto-cjk"
)


def page(lines: Sequence[tuple[int, str]], font: Path) -> Any:
    """A picture of a page, 827 x 1169 pixels (A4 at 100 dpi)."""
    image, draw_module, fonts = (pytest.importorskip(f"PIL.{name}") for name in ("Image", "ImageDraw", "ImageFont"))
    made = image.new("RGB", (827, 1169), "white")
    pen, top = draw_module.Draw(made), 80
    for size, text in lines:
        pen.text((80, top), text, fill="black", font=fonts.truetype(str(font), size))
        top += 2 * size if size > 20 else round(1.5 * size)
    return made


def encoded(kind: str, *made: Any) -> bytes:
    out = io.BytesIO()
    made[0].save(out, kind, **({"save_all": True, "append_images": made[1:]} if made[1:] else {}))
    return out.getvalue()


# -- what is decided without any model ------------------------------------------------------------------


def boxes(*rows: tuple[str, float, float, float]) -> list[Piece]:
    """Pieces 20 pixels high: text, left, top, right."""
    return [Piece(text, left, top, right, top + 20) for text, left, top, right in rows]


def texts(pieces: list[Piece]) -> list[str]:
    return [line.text for line in in_reading_order(pieces)]


def test_pieces_of_a_line_are_joined_from_left_to_right() -> None:
    assert texts(boxes(("world", 200, 12, 300), ("hello", 0, 10, 100), ("below", 0, 35, 100))) == [
        "hello world", "below",
    ]  # fmt: skip


def test_columns_are_read_one_after_the_other_below_what_goes_over_both() -> None:
    left = [(f"left {n}", 0.0, 100.0 + 30 * n, 390.0) for n in range(5)]
    right = [(f"right {n}", 410.0, 103.0 + 30 * n, 800.0) for n in range(5)]
    title = ("a title over both", 0.0, 20.0, 800.0)
    assert texts(boxes(title, *left, *right)) == [
        "a title over both", "", *(f"left {n}" for n in range(5)), "", *(f"right {n}" for n in range(5)),
    ]  # fmt: skip


def test_the_rows_of_a_table_are_no_columns() -> None:
    cells = [(f"key {n}", 0.0, 30.0 * n, 80.0) for n in range(6)]
    values = [(f"value {n}", 400.0, 30.0 * n, 800.0) for n in range(6)]
    assert texts(boxes(*cells, *values)) == [f"key {n} value {n}" for n in range(6)]


def test_a_word_that_is_broken_at_a_line_end_is_whole_in_the_text() -> None:
    (first, second) = in_reading_order(boxes(("the har-", 0, 0, 100), ("bour", 0, 25, 60)))
    made = load(make.image_pdf(), "a.pdf", 5, {1: [first, second]})
    assert made.text == "the harbour"


def test_a_recognised_page_has_its_place_and_its_headings() -> None:
    seen = {
        1: [SeenLine("Regulations", 1.9), SeenLine("Every ship reports to the master."), SeenLine("It pays.", 0.95)]
    }
    made = load(make.image_pdf(), "a.pdf", 5, seen)
    assert made.text == "Regulations\n\nEvery ship reports to the master.\nIt pays."
    assert (made.pages, [h.title for h in made.headings]) == ([0], ["Regulations"])
    with pytest.raises(Unseen) as unseen:
        load(make.image_pdf(), "a.pdf", 5, {})
    assert (unseen.value.pages, unseen.value.num_pictures) == ([1], 1)


def test_pages_with_a_text_of_their_own_are_not_recognised() -> None:
    assert load(make.pdf("words of its own"), "a.pdf", 5, {}).text == "words of its own"


def picture_of(gaps: Sequence[int]) -> np.ndarray:
    """A line 30 pixels high with black letters of 8 pixels, and gaps before them as given."""
    line, at = np.full((30, 400), 250, np.uint8), 5
    for gap in gaps:
        line[8:24, at + gap : at + gap + 8] = 10
        at += gap + 8
    return line[:, : at + 5]


def test_spaces_that_the_models_lost_are_put_where_the_ink_has_gaps() -> None:
    gaps = [2, 2, 2, 9, 2, 2, 10, 2, 2, 2, 9, 2, 2, 2, 9, 2, 2, 2, 2, 2, 2]
    line = picture_of(gaps)
    middles, at = [], 5
    for gap in gaps:
        middles.append(at + gap + 4)
        at += gap + 8
    assert spaced("abcdefghijklmnopqrstu", middles, line) == "abc def ghij klmn opqrstu"
    assert spaced("abcdefghijklmnopqrstu", middles, 255 - line) == "abc def ghij klmn opqrstu"
    assert spaced("港口规则港口规则港口规则港口规则港口规则港", middles, line).count(" ") == 0
    even = picture_of([2] * len(gaps))
    assert spaced("abcdefghijklmnopqrstu", [11 + 10 * n for n in range(21)], even) == "abcdefghijklmnopqrstu"
    assert spaced("", [], line[:, :0]) == ""


def test_a_picture_too_large_for_the_memory_is_refused_before_it_is_unpacked() -> None:
    huge = b"BM" + bytes(8) + bytes.fromhex("36000000 28000000 50c30000 50c30000 0100 1800") + bytes(40)
    with pytest.raises(Unreadable, match="2500 million pixels"):
        opened(huge)


def test_black_letters_on_nothing_are_black_on_white() -> None:
    image = pytest.importorskip("PIL.Image")
    clear = image.new("RGBA", (8, 8), (0, 0, 0, 0))
    clear.putpixel((3, 3), (0, 0, 0, 255))
    pixels = pixels_of(encoded("PNG", clear), 1, 100)
    assert pixels is not None
    assert pixels[3, 3].tolist() == [0, 0, 0]
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels_of(encoded("PNG", clear), 2, 100) is None


def test_records_of_the_former_schema_open_with_everything_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "records.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", MIGRATIONS[: MIGRATIONS.index(SCANS)])
        old = Database(path)
        with old.write() as tx:
            tx.execute("INSERT INTO originals VALUES ('ab', 'content')")
        old.close()
    database = Database(path)
    assert database.read().execute("SELECT content FROM originals").fetchone()[0] == "content"
    scans, originals = Scans(database), Originals(database, tmp_path / "files")
    scans.keep("ab", 2, [SeenLine("两行", 1.5)])
    assert scans.of("ab") == {2: [SeenLine("两行", 1.5)]}
    originals.forget(["ab"])
    assert scans.of("ab") == {}
    database.close()


# -- what the models read -------------------------------------------------------------------------------


def chunks_of(desk: Any) -> list[contract.Chunk]:
    (document,) = desk.documents().documents
    assert document.status == "ready", document.reason
    return list(desk.call(contract.CHUNKS, contract.ListChunks(document.id)).chunks)


@needs_extra
@needs_fonts
@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_scanned_pdf_is_found_by_its_words_with_page_and_heading(open_desk: Callable[..., Any]) -> None:
    desk = open_desk()
    scanned = encoded("PDF", page(ENGLISH, LATIN_FONT), page(CHINESE, CHINESE_FONT))
    job = desk.upload("rules.pdf", scanned, timeout_s=200.0)
    assert (job.status, job.num_failed) == ("succeeded", 0)
    english, chinese = chunks_of(desk)
    assert (english.page, english.heading, chinese.page, chinese.heading) == (1, "Regulations", 2, "港口规则")
    assert "forty crowns for each night" in english.text
    assert "四十克朗" in chinese.text
    assert desk.search("四十克朗").hits[0].page == 2
    assert desk.call(pages.PAGE_IMAGE, pages.PageOf(desk.documents().documents[0].id, 2)).png


@needs_extra
@needs_fonts
@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_pictures_are_documents(open_desk: Callable[..., Any], kind: str) -> None:
    desk = open_desk()
    desk.upload(f"a.{kind.lower()}", encoded(kind, page(CHINESE, CHINESE_FONT)), timeout_s=200.0)
    assert "港务长报告" in chunks_of(desk)[0].text
    (document,) = desk.documents().documents
    assert document.media_type == f"image/{kind.lower()}"
    assert desk.call(pages.PAGE_IMAGE, pages.PageOf(document.id, 1)).png.startswith(b"\x89PNG")


@needs_extra
@needs_fonts
@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_page_is_read_once_however_often_its_document_is_cut(open_desk: Callable[..., Any]) -> None:
    desk = open_desk()
    desk.upload("a.png", encoded("PNG", page(ENGLISH, LATIN_FONT)), timeout_s=200.0)
    first = chunks_of(desk)
    parser = desk.service._parts.parser

    def fail(*_: Any) -> Any:
        raise AssertionError("the page was read again")

    parser.read = fail
    (document,) = desk.documents().documents
    desk.wait(desk.call(editing.RECUT_DOCUMENT, contract.DocumentId(document.id)))
    assert chunks_of(desk) == first


@needs_extra
@pytest.mark.process
def test_a_document_with_too_many_pictures_fails_with_the_limit(open_desk: Callable[..., Any]) -> None:
    desk = open_desk(ocr_pages=1)
    made = page((), LATIN_FONT)
    job = desk.upload("a.tiff", encoded("TIFF", made, made))
    assert job.failures[0].reason == "2 of its pages are images; text recognition reads up to 1"
    assert "index.ocr_pages" in job.failures[0].fix


@needs_extra
@pytest.mark.process
@pytest.mark.timeout(120)
def test_a_page_that_takes_too_long_is_named(open_desk: Callable[..., Any]) -> None:
    desk = open_desk(ocr_timeout_s=0.01)
    job = desk.upload("a.png", encoded("PNG", page((), LATIN_FONT)))
    assert job.failures[0].reason.startswith("opening page 1 took longer than")
    assert "index.ocr_timeout_s" in job.failures[0].fix
