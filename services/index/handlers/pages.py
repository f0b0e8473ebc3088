"""Handler for pictures of pages."""

from __future__ import annotations

from clients import pages
from services.service import Call, serves

from .base import Handlers


class PageHandlers(Handlers):
    """Pictures of pages."""

    @serves(pages.PAGE_IMAGE)
    def page_image(self, request: pages.PageOf, _call: Call) -> pages.PageImage:
        """A page of a PDF as a picture."""
        return pages.PageImage(self._parts.pictures.of(request.document_id, request.page))
