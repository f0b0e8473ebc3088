"""What of a chunk is embedded and indexed, and when is it the same as another's?"""

from __future__ import annotations

import hashlib

from clients.documents import content_of

__all__ = ["content_of", "entry_id"]


def entry_id(text: str, heading: str) -> str:
    """The id of a content inside the stores, 32 hexadecimal digits: chunks of equal content share one entry."""
    return hashlib.sha256(content_of(text, heading).encode("utf-8", "surrogatepass")).hexdigest()[:32]
