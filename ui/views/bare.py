"""What is shown of an answer to those who are not to see where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ui.prose import Block, Span

from .chat import Said


def bare(said: Said) -> Said:
    """The words of an answer, without numbers, the documents below quotes, and anything to open."""
    blocks = [Block(_words(block.spans), block.shape) for block in said.blocks if block.shape != "cite"]
    return replace(said, blocks=[block for block in blocks if block.spans], targets=[], sources=[])


def _words(spans: Sequence[Span]) -> list[Span]:
    """The spans that are words; a space that stood before a number goes with it."""
    words = [span for span in spans if span.target < 0]
    if words and len(words) < len(spans) and not words[-1].text.strip():
        words.pop()
    return words
