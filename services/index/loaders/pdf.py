"""What do the pages of a PDF say."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .base import Loaded, Unreadable, Writer
from .layout import Line, page_lines
from .seen import Seen, SeenLine, Unseen

MEDIA_TYPE = "application/pdf"
MIN_CHARS_PER_PAGE = 8
# Letters of a heading are larger than the text's by this much at least; there is little of them.
LARGER = 1.15
MAX_HEADING_SHARE = 0.25
MAX_HEADING_CHARS = 200
MAX_LEVELS = 5
# A page without text is a picture when one covers so much of it.
PICTURE_SHARE = 0.5
# Boxes around recognised words differ by a fifth in height; a step that is larger is another size of letters.
SEEN_STEP = 1.35
USUAL_SIZE = 10.0
# The mark that pdfium puts where a word was hyphenated at a line end.
HYPHENATED = re.compile("[\x02\ufffe]\n?")
LINE_END_SPACES = re.compile(r"[ \t]+\n")


def pdf(raw: bytes, max_pages: int, seen: Seen | None = None) -> Loaded:
    """The text of a PDF, page by page; ruled tables as Markdown, headings told by the size of their letters.

    Args:
        raw: the file.
        max_pages: longest document.
        seen: what was recognised in its pages that are pictures; None when pictures are not read here.

    Raises:
        Unreadable: password, damage, too many pages, or nothing but pictures where none are read.
        Unseen: pages are pictures that are to be looked at first.
    """
    document = open_pdf(raw)
    try:
        if len(document) > max_pages:
            raise Unreadable(
                f"the PDF has {len(document)} pages; the limit is {max_pages}",
                help="split it, or raise index.max_pages",
            )
        pages = [_page(document, number) for number in range(len(document))]
        pictures = _pictures(document, pages)
    finally:
        document.close()
    if seen is None:
        if pictures and not _has_text(pages):
            raise Unreadable(
                "the PDF has no text: its pages are images",
                help="pip install 'ragq[ocr]' lets the Index service read them (index.ocr), "
                "or run text recognition over it first: ocrmypdf in.pdf out.pdf",
            )
        return joined(pages, MEDIA_TYPE)
    if missing := [page for page in pictures if page not in seen]:
        raise Unseen(missing, len(pictures))
    return joined(_filled(pages, pictures, seen), MEDIA_TYPE)


def _has_text(pages: Sequence[Sequence[Line]]) -> bool:
    return sum(map(_num_chars, pages)) >= MIN_CHARS_PER_PAGE * len(pages)


def _num_chars(lines: Sequence[Line]) -> int:
    return sum(len(line.text.strip()) for line in lines)


def _pictures(document: Any, pages: Sequence[Sequence[Line]]) -> list[int]:
    """Numbers of the pages whose text is in a picture; in a PDF without any text a small picture is enough."""
    share = PICTURE_SHARE if _has_text(pages) else 0.0
    return [
        number
        for number, lines in enumerate(pages, 1)
        if _num_chars(lines) < MIN_CHARS_PER_PAGE and _is_picture(document, number - 1, share)
    ]


def _is_picture(document: Any, number: int, share: float) -> bool:
    """Whether a picture covers so much of a page; one inside of a form counts for all of it."""
    import pypdfium2.raw

    page = document[number]
    try:
        whole = page.get_width() * page.get_height()
        for found in page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]):
            left, bottom, right, top = found.get_bounds()
            if found.level or (right - left) * (top - bottom) >= share * whole:
                return True
        return False
    finally:
        page.close()


def _filled(pages: list[list[Line]], pictures: Sequence[int], seen: Seen) -> list[list[Line]]:
    """The pages, what was recognised in the place of pictures; letters as large as most of the text's."""
    used = Counter(line.size for lines in pages for line in lines if line.size)
    usual = used.most_common(1)[0][0] if used else USUAL_SIZE
    filled = list(pages)
    for page in pictures:
        filled[page - 1] = looked_at(seen[page], usual)
    return filled


def looked_at(lines: Sequence[SeenLine], usual: float = USUAL_SIZE) -> list[Line]:
    """Recognised lines with sizes in steps, of which the usual one is most lines'."""
    return [Line(line.text, usual * SEEN_STEP ** _steps(line.height) if line.text else 0.0) for line in lines]


def _steps(height: float) -> int:
    return max(0, int(math.log(max(height, 1.0), SEEN_STEP)))


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


def joined(pages: Sequence[Sequence[Line]], media_type: str) -> Loaded:
    """A document of these pages."""
    writer = Writer()
    levels = _levels([line for lines in pages for line in lines])
    starts = []
    for lines in pages:
        starts.append(writer.length + 2 if writer.length else 0)
        for (is_table, level), group in itertools.groupby(
            lines, lambda line: (line.is_table, levels.get(line.size, 0))
        ):
            _write(writer, [line.text for line in group], level, is_table=is_table)
    made = writer.loaded(media_type)
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
