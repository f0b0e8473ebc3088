"""Where does a text have headings, and blocks that are kept whole."""

from __future__ import annotations

from collections.abc import Iterator

from .loaders import Loaded


def regions(document: Loaded) -> Iterator[tuple[int, int, str]]:
    """The text from end to end as plain text, headings and blocks."""
    marked = [(h.start, h.end, "heading") for h in document.headings] + [(s, e, "block") for s, e in document.blocks]
    at = 0
    for start, end, kind in sorted(marked):
        if start < at:
            continue
        if at < start:
            yield at, start, "text"
        yield start, end, kind
        at = end
    if at < len(document.text):
        yield at, len(document.text), "text"
