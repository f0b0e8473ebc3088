"""What went wrong on the way to a page and may be over in a moment."""

from __future__ import annotations

from clients.errors import RequestError


class Trouble(RequestError):
    """A page did not come this time: worth another try after ``retry_after_s`` seconds, or a little while."""
