"""How a page of a document looks: a picture of it, for people who want to see what is cited."""

from __future__ import annotations

from dataclasses import dataclass

from .client import Client
from .wire import unary


@dataclass(frozen=True, slots=True)
class PageOf:
    """A page of a document; the first is 1."""

    document_id: str
    page: int


@dataclass(frozen=True, slots=True)
class PageImage:
    """A picture of a page: the bytes of a PNG file, 1,200 pixels wide at most."""

    png: bytes


PAGE_IMAGE = unary("index.page_image", PageOf, PageImage)
METHODS = (PAGE_IMAGE,)


class Pages:
    """The part of the Index service's client that shows pages."""

    _client: Client

    def page_image(self, document_id: str, page: int) -> bytes:
        """A page of a PDF as a PNG file.

        Args:
            document_id: as in `Document.id`.
            page: as in `Chunk.page`; the first is 1.

        Raises:
            NotFound: there is no such document or page.
            BadRequest: the document's format has no pages that can be shown.
        """
        return self._client.call(PAGE_IMAGE, PageOf(document_id, page)).png
