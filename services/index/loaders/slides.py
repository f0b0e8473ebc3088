"""What do the slides of a presentation say: titles, texts, tables, and the speaker's notes."""

from __future__ import annotations

from typing import Any

from .base import Loaded, Unreadable, Writer
from .package import RELATION, Package
from .tables import SEPARATOR, escaped

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
SHOW = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
DRAW = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
DECK = "ppt/presentation.xml"
TITLES = frozenset({"title", "ctrTitle"})
# Placeholders that repeat on every slide.
FURNITURE = frozenset({"dt", "ftr", "sldNum", "hdr"})


def slides(raw: bytes, max_pages: int) -> Loaded:
    """The text of a presentation; a slide is a page, its title a heading. Hidden slides are left out.

    Raises:
        Unreadable: damaged, or more slides than ``max_pages``.
    """
    package = Package(raw, "the presentation")
    relations = package.relations(DECK)
    entries = [entry.get(f"{RELATION}id", "") for entry in package.tree(DECK).iter(f"{SHOW}sldId")]
    names = [relations[id_][1] for id_ in entries if id_ in relations]
    if len(names) > max_pages:
        raise Unreadable(
            f"the presentation has {len(names)} slides; the limit is {max_pages}",
            help="split it, or raise index.max_pages",
        )
    writer = Writer()
    pages = []
    for name in names:
        pages.append(writer.length + 2 if writer.length else 0)
        _slide(writer, package, name)
    made = writer.loaded(MEDIA_TYPE)
    return Loaded(made.text, made.media_type, pages, made.headings, made.blocks)


def _slide(writer: Writer, package: Package, name: str) -> None:
    root = package.tree(name)
    if root.get("show") in ("0", "false"):
        return
    shapes = [node for node in root.iter(f"{SHOW}sp", f"{DRAW}tbl") if _role(node) not in FURNITURE]
    for shape in shapes:
        if _role(shape) in TITLES and (title := " ".join(" ".join(_paragraphs(shape)).split())):
            writer.heading(1, title)
    for shape in shapes:
        if shape.tag == f"{DRAW}tbl":
            _table(writer, shape)
        elif _role(shape) not in TITLES and (texts := _paragraphs(shape)):
            writer.paragraph("\n".join(texts))
    _notes(writer, package, name)


def _role(shape: Any) -> str:
    place = shape.find(f".//{SHOW}nvPr/{SHOW}ph") if shape.tag == f"{SHOW}sp" else None
    return "" if place is None else place.get("type", "body")


def _notes(writer: Writer, package: Package, name: str) -> None:
    for kind, target in package.relations(name).values():
        if kind != "notesSlide" or not package.has(target):
            continue
        bodies = [shape for shape in package.tree(target).iter(f"{SHOW}sp") if _role(shape) == "body"]
        if texts := [text for body in bodies for text in _paragraphs(body)]:
            writer.paragraph("Notes: " + "\n".join(texts))


def _paragraphs(shape: Any) -> list[str]:
    """The lines of a shape; a line break inside a paragraph is one too."""
    lines = []
    for paragraph in shape.iter(f"{DRAW}p"):
        parts = [
            "\n" if node.tag == f"{DRAW}br" else node.text or "" for node in paragraph.iter(f"{DRAW}t", f"{DRAW}br")
        ]
        if text := "".join(parts).strip():
            lines.append(text)
    return lines


def _table(writer: Writer, table: Any) -> None:
    rows = []
    for row in table.iter(f"{DRAW}tr"):
        cells = [escaped(" ".join(_paragraphs(cell))) for cell in row.findall(f"{DRAW}tc") if not cell.get("hMerge")]
        if any(cells):
            rows.append(SEPARATOR.join(cells))
    if rows:
        writer.block("\n".join(rows))
