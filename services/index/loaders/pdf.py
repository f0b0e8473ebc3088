"""What do the pages of a PDF say."""

from __future__ import annotations

import re
from typing import Any

from .base import Loaded, Unreadable

MEDIA_TYPE = "application/pdf"
MIN_CHARS_PER_PAGE = 8
# The mark that pdfium puts where a word was hyphenated at a line end.
HYPHENATED = re.compile("[\x02\ufffe]\n?")
LINE_END_SPACES = re.compile(r"[ \t]+\n")


def pdf(raw: bytes, max_pages: int) -> Loaded:
    """The text of a PDF, page by page.

    Raises:
        Unreadable: password, damage, too many pages, or pages that are images.
    """
    document = _open(raw)
    try:
        if len(document) > max_pages:
            raise Unreadable(
                f"the PDF has {len(document)} pages; the limit is {max_pages}",
                help="split it, or raise index.max_pages",
            )
        texts = [_page(document, number) for number in range(len(document))]
        if sum(len(text.strip()) for text in texts) < MIN_CHARS_PER_PAGE * len(texts):
            _refuse_images(document)
    finally:
        document.close()
    return _joined(texts)


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


def _open(raw: bytes) -> Any:
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


def _page(document: Any, number: int) -> str:
    import pypdfium2

    try:
        page = document[number]
        text_page = page.get_textpage()
    except pypdfium2.PdfiumError as error:
        raise Unreadable(
            f"page {number + 1} of the PDF is damaged: {error}", help="print the PDF to a new one"
        ) from error
    text: str = text_page.get_text_range()
    text_page.close()
    page.close()
    return LINE_END_SPACES.sub("\n", HYPHENATED.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))).strip("\n")


def _joined(texts: list[str]) -> Loaded:
    starts, length = [], 0
    for text in texts:
        starts.append(length)
        length += len(text) + 2
    return Loaded("\n\n".join(texts), MEDIA_TYPE, pages=starts)
