"""What of a chunk is embedded and indexed, and when is it the same as another's?"""

from __future__ import annotations

import hashlib


def content_of(text: str, heading: str) -> str:
    """The text below its headings, a path joined by `` > ``; headings that the text begins with are not repeated."""
    last = heading.rpartition(" > ")[2]
    return text if not last or last in text[: len(last) + 8] else f"{heading}\n{text}"


def entry_id(text: str, heading: str) -> str:
    """The id of a content inside the stores, 32 hexadecimal digits: chunks of equal content share one entry."""
    return hashlib.sha256(content_of(text, heading).encode("utf-8", "surrogatepass")).hexdigest()[:32]
