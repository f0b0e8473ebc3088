"""What the list of a document's chunks shows of each."""

from __future__ import annotations

import re

from clients.index import Chunk
from ui.labels import Labels

# Where a sentence, or a line, ends; in Chinese no space follows.
_END = re.compile(r"(?:[.!?…][\"'”’)\]]*\s+|[。！？；][”’」』）]*\s*|\n+)")
MAX_BREAKS = 20


def state_line(chunk: Chunk, labels: Labels) -> str:
    """Where a chunk stands in its document, and what was changed in it."""
    page = labels("passage.page", page=chunk.page) if chunk.page else ""
    off = "" if chunk.is_enabled else labels("chunks.is_off")
    edited = labels("chunks.is_edited") if chunk.is_edited else ""
    return " · ".join(
        filter(None, [labels("chunks.number", number=chunk.position + 1), page, chunk.heading, edited, off])
    )


def breaks(text: str) -> list[int]:
    """Where a text can be cut in two: the beginnings of its sentences and lines but the first."""
    places = [found.end() for found in _END.finditer(text)]
    return [place for place in places if text[:place].strip() and text[place:].strip()][:MAX_BREAKS]
