"""Which words does a picture show: RapidOCR's models are asked, which come inside its wheel."""

from __future__ import annotations

import functools
import importlib.util
import os
from typing import Any

import numpy as np

from .base import Unreadable
from .drawing import pixels_of_page
from .images import pixels_of
from .reading_order import Piece, in_reading_order
from .seen import SeenLine
from .sniffing import kind_of
from .spacing import spaced

PACKAGE = "rapidocr_onnxruntime"
# An A4 page at 150 dpi; letters of 8 points are 17 pixels high then, which the models read well.
MAX_SIDE = 1800
MAX_THREADS = 4


def is_installed() -> bool:
    """Whether the extra ``ocr`` is here."""
    return importlib.util.find_spec(PACKAGE) is not None


def recognise(raw: bytes, page: int) -> list[SeenLine]:
    """The text of a page that is a picture.

    Args:
        raw: a PDF or a picture.
        page: its number, the first is 1.

    Raises:
        Unreadable: the file or the recogniser cannot be opened.
    """
    pixels = _pixels(raw, page)
    if pixels is None:
        return []
    # The models were trained on blue green red.
    found, _ = _engine()(np.ascontiguousarray(pixels[:, :, ::-1]), return_word_box=True)
    grey = pixels.mean(axis=2).astype(np.uint8)
    return in_reading_order([_piece(grey, *line) for line in found or ()])


def _pixels(raw: bytes, page: int) -> np.ndarray | None:
    if kind_of(raw, "") == "image":
        return pixels_of(raw, page, MAX_SIDE)
    return pixels_of_page(raw, page, MAX_SIDE)


def _piece(grey: np.ndarray, box: Any, text: str, _score: float, places: Any, letters: Any, *_: Any) -> Piece:
    """A line as the models give it: its corners, and the corners of each letter."""
    (left, right), (top, bottom) = _span(box, 0), _span(box, 1)
    if len(places) == len(letters) and "".join(letters) == text:
        middles = [sum(_span(place, 0)) / 2 - left for place in places]
        text = spaced(letters, middles, grey[max(0, int(top)) : int(bottom), max(0, int(left)) : int(right)])
    return Piece(text, left, top, right, bottom)


def _span(box: Any, axis: int) -> tuple[float, float]:
    values = [float(corner[axis]) for corner in box]
    return min(values), max(values)


@functools.cache
def _engine() -> Any:
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError as error:
        raise Unreadable(
            f"text recognition cannot be started: {error}",
            help="pip install 'ragq[ocr]'; on Linux without a desktop also: apt-get install libgl1 libglib2.0-0",
        ) from error
    return RapidOCR(intra_op_num_threads=min(MAX_THREADS, os.cpu_count() or 1))
