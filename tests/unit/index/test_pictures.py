"""Can people see the page that is cited?"""

from __future__ import annotations

import struct
from typing import Any

import pytest

from clients import pages
from clients.errors import BadRequest, NotFound
from services.index.loaders import Unreadable, draw
from tests.data import make_documents as make


def size_of(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert png.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_a_page_is_drawn_as_png() -> None:
    first, second = draw(make.pdf("one", "two pages"), 1), draw(make.pdf("one", "two pages"), 2)
    assert size_of(first) == size_of(second) == (1190, 1684)
    assert first != second
    assert draw(make.pdf("one"), 2) == draw(make.pdf("one"), 0) == b""


def test_a_huge_page_makes_a_small_picture() -> None:
    raw = make.pdf("one").replace(b"[0 0 595 842]", b"[0 0 9595 99]")
    width, height = size_of(draw(raw, 1))
    assert width <= 1201
    assert height <= 3001


def test_a_locked_pdf_is_not_drawn() -> None:
    with pytest.raises(Unreadable, match="password"):
        draw(make.locked_pdf(), 1)


@pytest.mark.process
def test_the_service_draws_the_pages_of_its_documents(desk: Any) -> None:
    desk.upload("a.pdf", make.pdf("one", "two pages"))
    (document,) = desk.documents().documents
    assert size_of(desk.call(pages.PAGE_IMAGE, pages.PageOf(document.id, 2)).png) == (1190, 1684)
    with pytest.raises(NotFound, match="has no page 3"):
        desk.call(pages.PAGE_IMAGE, pages.PageOf(document.id, 3))
    with pytest.raises(NotFound, match="no document"):
        desk.call(pages.PAGE_IMAGE, pages.PageOf("unknown", 1))


def test_a_text_has_no_look(desk: Any) -> None:
    desk.add_and_wait("some words")
    (document,) = desk.documents().documents
    with pytest.raises(BadRequest, match="is no PDF"):
        desk.call(pages.PAGE_IMAGE, pages.PageOf(document.id, 1))
