"""What does a Word document say: headings, paragraphs, tables as rows."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any

from .base import Loaded, Unreadable, Writer
from .package import Package

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
HEADING = re.compile(r"(?:heading|标题|überschrift|titre)\s*([1-9])", re.IGNORECASE)


def docx(raw: bytes) -> Loaded:
    """The text of a Word document.

    Raises:
        Unreadable: damaged, or it unpacks to more than it should.
    """
    import docx as python_docx
    from docx.opc.exceptions import PackageNotFoundError

    Package(raw, "the Word document")
    try:
        document = python_docx.Document(io.BytesIO(raw))
    except (PackageNotFoundError, KeyError, ValueError, SyntaxError, zipfile.BadZipFile) as error:
        raise Unreadable(
            f"the Word document is damaged: {error}", help="open it in an editor and save it again"
        ) from error
    writer = Writer()
    for part in document.iter_inner_content():
        _write(writer, part)
    return writer.loaded(MEDIA_TYPE)


def _write(writer: Writer, part: Any) -> None:
    if hasattr(part, "rows"):
        if rows := _rows(part):
            writer.block("\n".join(rows))
        return
    text = part.text.strip()
    if not text:
        return
    level = _level(part)
    if level:
        writer.heading(level, " ".join(text.split()))
    elif part.style is not None and "list" in (part.style.name or "").lower():
        writer.line(f"- {text}")
    else:
        writer.paragraph(text)


def _level(paragraph: Any) -> int:
    style = paragraph.style
    if style is None:
        return 0
    if (style.name or "").lower() == "title":
        return 1
    match = HEADING.search(style.name or "") or HEADING.search(style.style_id or "")
    return int(match[1]) if match else 0


def _rows(table: Any) -> list[str]:
    rows = []
    for row in table.rows:
        # Merged cells are reported once per column that they span.
        cells = list(dict.fromkeys(row.cells))
        texts = [_cell(cell) for cell in cells]
        if any(texts):
            rows.append(" | ".join(texts))
    return rows


def _cell(cell: Any) -> str:
    words = [" ".join(paragraph.text.split()) for paragraph in cell.paragraphs]
    nested = ["; ".join(_rows(table)) for table in cell.tables]
    return " ".join(filter(None, words + nested))
