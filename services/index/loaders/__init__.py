"""Bytes become text with pages and headings, by what they are rather than what they are called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .base import Heading, Loaded, Unreadable
from .decoding import decode
from .delimited import delimited
from .docx import docx
from .drawing import draw
from .html import html
from .images import image, refused
from .mail import mail
from .pdf import pdf
from .plain import lines, markdown, plain
from .radicals import without_radicals
from .recognition import is_installed, recognise
from .records import records
from .seen import Seen, SeenLine, Unseen
from .slides import slides
from .sniffing import ending_of, kind_of
from .source import LANGUAGES, source
from .workbook import workbook

__all__ = [
    "CHILD_KINDS",
    "Heading",
    "Loaded",
    "Seen",
    "SeenLine",
    "Unreadable",
    "Unseen",
    "decode",
    "draw",
    "is_installed",
    "kind_of",
    "load",
    "load_text",
    "recognise",
    "refused",
]

OF_BYTES: dict[str, Callable[[bytes, int, Seen | None], Loaded]] = {
    "pdf": pdf,
    "image": image,
    "slides": lambda raw, max_pages, _: slides(raw, max_pages),
    "docx": lambda raw, *_: docx(raw),
    "workbook": lambda raw, *_: workbook(raw),
    "html": lambda raw, *_: html(raw),
    "mail": lambda raw, *_: mail(raw),
}
# Texts that take time and memory beyond their length are opened in the child too.
CHILD_KINDS = frozenset({*OF_BYTES, "delimited", "records", "source"})


def load(raw: bytes, name: str, max_pages: int, seen: Seen | None = None) -> Loaded:
    """The text of a content.

    Args:
        raw: the content.
        name: tells kinds of text apart.
        max_pages: longest document.
        seen: what was recognised in its pages that are pictures; None when pictures are not read here.

    Raises:
        Unreadable: says why and what to do.
        Unseen: pages are pictures that are to be looked at first.
    """
    if not raw.strip():
        raise Unreadable("the file is empty", help="check that the right file was added")
    kind = kind_of(raw, name)
    if kind in OF_BYTES:
        return _clean(OF_BYTES[kind](raw, max_pages, seen))
    return load_text(decode(raw), name, kind)


def load_text(text: str, name: str, kind: str = "plain") -> Loaded:
    """The marks of a text that was given as text; a title may end in anything but a known ending."""
    text = without_radicals(text)
    ending = ending_of(name)
    match kind:
        case "markdown":
            return markdown(text)
        case "delimited":
            return delimited(text, name)
        case "records":
            return records(text, ending)
        case "source":
            return source(text, LANGUAGES[ending])
        case "lines":
            return lines(text, "text/plain")
    return plain(text)


def _clean(loaded: Loaded) -> Loaded:
    headings = [replace(heading, title=without_radicals(heading.title)) for heading in loaded.headings]
    return replace(loaded, text=without_radicals(loaded.text).replace("\0", " "), headings=headings)
