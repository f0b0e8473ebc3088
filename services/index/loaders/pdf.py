"""What do the pages of a PDF say."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import Any

from .base import Loaded, Unreadable, Writer
from .layout import Line, page_lines

MEDIA_TYPE = "application/pdf"
MIN_CHARS_PER_PAGE = 8
# Letters of a heading are larger than the text's by this much at least; there is little of them.
LARGER = 1.15
MAX_HEADING_SHARE = 0.25
MAX_HEADING_CHARS = 200
MAX_LEVELS = 5
# The mark that pdfium puts where a word was hyphenated at a line end.
HYPHENATED = re.compile("[\x02\ufffe]\n?")
LINE_END_SPACES = re.compile(r"[ \t]+\n")


def pdf(raw: bytes, max_pages: int) -> Loaded:
    """The text of a PDF, page by page; ruled tables as Markdown, headings told by the size of their letters.

    Raises:
        Unreadable: password, damage, too many pages, or pages that are images.
    """
    document = open_pdf(raw)
    try:
        if len(document) > max_pages:
            raise Unreadable(
                f"the PDF has {len(document)} pages; the limit is {max_pages}",
                help="split it, or raise index.max_pages",
            )
        pages = [_page(document, number) for number in range(len(document))]
        if sum(len(line.text.strip()) for lines in pages for line in lines) < MIN_CHARS_PER_PAGE * len(pages):
            _refuse_images(document)
    finally:
        document.close()
    return _joined(pages)


def _refuse_images(document: Any) -> None:
    """Unreadable when there are pictures where the text should be."""
    import pypdfium2.raw

    for number in range(len(document)):
        page = document[number]
        has_image = any(True for _ in page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]))
        page.close()
        if has_image:
            raise Unreadable(
                "the PDF has no text: its pages are images",
                help="run text recognition over it first, for example: ocrmypdf in.pdf out.pdf",
            )


def open_pdf(raw: bytes) -> Any:
    """The PDF of these bytes, to be closed.

    Raises:
        Unreadable: locked or damaged.
    """
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(raw)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise Unreadable(
                "the PDF is locked with a password", help="save a copy without a password and add that"
            ) from error
        raise Unreadable(
            f"the PDF is damaged: {error}", help="open it in a viewer and print it to a new PDF"
        ) from error


def _page(document: Any, number: int) -> list[Line]:
    import pypdfium2

    try:
        page = document[number]
        text_page = page.get_textpage()
    except pypdfium2.PdfiumError as error:
        raise Unreadable(
            f"page {number + 1} of the PDF is damaged: {error}", help="print the PDF to a new one"
        ) from error
    try:
        return page_lines(page, text_page)
    finally:
        text_page.close()
        page.close()


def _joined(pages: list[list[Line]]) -> Loaded:
    writer = Writer()
    levels = _levels([line for lines in pages for line in lines])
    starts = []
    for lines in pages:
        starts.append(writer.length + 2 if writer.length else 0)
        for (is_table, level), group in itertools.groupby(
            lines, lambda line: (line.is_table, levels.get(line.size, 0))
        ):
            _write(writer, [line.text for line in group], level, is_table=is_table)
    made = writer.loaded(MEDIA_TYPE)
    return Loaded(made.text, made.media_type, starts, made.headings, made.blocks)


def _write(writer: Writer, texts: list[str], level: int, *, is_table: bool) -> None:
    text = LINE_END_SPACES.sub("\n", HYPHENATED.sub("", "\n".join(texts).replace("\r", "\n"))).strip("\n")
    if is_table:
        for table in texts:
            writer.block(table)
    elif level and len(text) <= MAX_HEADING_CHARS and any(map(str.isalpha, text)):
        writer.heading(level, " ".join(text.split()))
    elif text:
        writer.paragraph(text)


def _levels(lines: list[Line]) -> dict[float, int]:
    """Which sizes of letters are headings, and of which level; none where that is not clear."""
    used: Counter[float] = Counter()
    for line in lines:
        if line.size:
            used[line.size] += len(line.text)
    if not used:
        return {}
    body, _ = used.most_common(1)[0]
    larger = sorted((size for size in used if size >= LARGER * body), reverse=True)
    if sum(used[size] for size in larger) > MAX_HEADING_SHARE * used.total() or len(larger) > MAX_LEVELS:
        return {}
    return {size: level for level, size in enumerate(larger, 1)}
