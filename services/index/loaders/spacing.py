"""Where are the spaces that a recogniser did not see: at the wide gaps between a line's inked columns.

The models read Chinese and English; in noisy pictures they see the letters and lose the spaces between them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# A gap between words is at least this part of a line's height, and so much wider than one between letters;
# a short line, with few gaps to compare, has to be clearer about it.
WORD_GAP, SHORT_WORD_GAP = 0.17, 0.25
SHORT = 20
TIMES_WIDER = 2.0
# Ink is what is darker than the middle between a line's paper and its darkest place.
CONTRAST = 0.5
MIN_CONTRAST = 40


def spaced(letters: Sequence[str], middles: Sequence[float], line: np.ndarray) -> str:
    """A line of text with spaces where its picture has gaps between two Latin words.

    Args:
        letters: as recognised, spaces among them.
        middles: where each stands, in pixels from the left end of the line.
        line: uint8 [height, width], the picture of the line, grey.
    """
    gaps = _gaps(line, WORD_GAP if len(letters) >= SHORT else SHORT_WORD_GAP)
    made: list[str] = []
    for number, letter in enumerate(letters):
        if number and _is_latin(letters[number - 1]) and _is_latin(letter):
            left, right = middles[number - 1], middles[number]
            if any(left < gap <= right for gap in gaps):
                made.append(" ")
        made.append(letter)
    return "".join(made)


def _is_latin(letter: str) -> bool:
    return "!" <= letter <= "\u024f"


def _gaps(line: np.ndarray, share: float) -> list[float]:
    """The middles of the gaps between words."""
    if not line.size:
        return []
    if np.median(line) < 128:
        line = 255 - line  # light letters on dark paper
    paper, darkest = float(np.median(line)), float(line.min())
    if paper - darkest < MIN_CONTRAST:
        return []
    inked = np.flatnonzero((line < paper - CONTRAST * (paper - darkest)).any(axis=0))
    widths = np.diff(inked) - 1
    wide = np.flatnonzero(widths > max(share * len(line), _between(widths[widths > 0])))
    return [float(inked[place] + inked[place + 1]) / 2 for place in wide]


def _between(widths: np.ndarray) -> float:
    """A width between those of gaps inside of words and those between words; endless where they do not differ.

    The cut is where the variance between both groups is largest (Otsu 1979).
    """
    ordered = np.sort(widths).astype(float)
    best, found = 0.0, float("inf")
    for number in range(1, len(ordered)):
        low, high = ordered[:number].mean(), ordered[number:].mean()
        spread = number * (len(ordered) - number) * (high - low) ** 2
        if spread > best:
            best = spread
            found = (ordered[number - 1] + ordered[number]) / 2 if high > TIMES_WIDER * low else float("inf")
    return found
