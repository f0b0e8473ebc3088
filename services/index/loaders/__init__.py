"""Bytes become text with pages and headings, by what they are rather than what they are called."""

from __future__ import annotations

from .base import Heading, Loaded, Unreadable
from .decoding import decode
from .docx import docx
from .html import html
from .pdf import pdf
from .plain import lines, markdown, plain
from .radicals import without_radicals
from .sniffing import CODE, kind_of

__all__ = ["CHILD_KINDS", "Heading", "Loaded", "Unreadable", "decode", "kind_of", "load", "load_text"]

CHILD_KINDS = frozenset({"pdf", "docx", "html"})


def load(raw: bytes, name: str, max_pages: int) -> Loaded:
    """The text of a content.

    Raises:
        Unreadable: says why and what to do.
    """
    if not raw.strip():
        raise Unreadable("the file is empty", help="check that the right file was added")
    kind = kind_of(raw, name)
    if kind == "pdf":
        return _clean(pdf(raw, max_pages))
    if kind == "docx":
        return _clean(docx(raw))
    if kind == "html":
        return _clean(html(raw))
    return load_text(decode(raw), name, kind)


def load_text(text: str, name: str, kind: str = "plain") -> Loaded:
    """The marks of a text that was given as text; a title may end in anything but a known ending."""
    text = without_radicals(text)
    if kind == "markdown":
        return markdown(text)
    if kind == "lines":
        ending = name.lower().rpartition(".")[2]
        return lines(text, "text/csv" if ending == "csv" else "text/x-source" if ending in CODE else "text/plain")
    return plain(text)


def _clean(loaded: Loaded) -> Loaded:
    text = without_radicals(loaded.text).replace("\0", " ")
    return Loaded(text, loaded.media_type, loaded.pages, loaded.headings, loaded.blocks, loaded.is_lines)
