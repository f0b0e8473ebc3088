"""How does a page of a document look: drawn from the original by a parser process of its own."""

from __future__ import annotations

import threading

from clients.errors import BadRequest, NotFound

from .documents import Documents
from .loaders.pdf import MEDIA_TYPE
from .originals import Originals
from .parsing import Parser


class Pictures:
    """Draws pages, one at a time, so that it takes one process beside the one that reads what is added."""

    def __init__(self, documents: Documents, originals: Originals, parser: Parser) -> None:
        self._documents = documents
        self._originals = originals
        self._parser = parser
        self._lock = threading.Lock()

    def of(self, document_id: str, page: int) -> bytes:
        """A page as the bytes of a PNG file; the first is 1.

        Raises:
            NotFound: no such document, or it has fewer pages.
            BadRequest: its format has no pages that can be drawn.
        """
        document = self._documents.get(document_id)
        if document.media_type != MEDIA_TYPE and not document.media_type.startswith("image/"):
            raise BadRequest(
                f"{document.name} is no PDF and no picture, so its pages have no look", help="open its passages instead"
            )
        raw = self._originals.read(self._documents.content_of(document_id))
        with self._lock:
            png = self._parser.draw(raw, page)
        if not png:
            raise NotFound(f"{document.name} has no page {page}")
        return png

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._parser.close()
