"""How does a page of a PDF or a picture look: as the bytes of a PNG file."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np

from .images import pixels_of
from .pdf import open_pdf
from .sniffing import kind_of

MAX_WIDTH = 1200
MAX_HEIGHT = 3000
MAX_SCALE = 2.0
SIGNATURE = b"\x89PNG\r\n\x1a\n"
# PNG, second edition, 11.2.2: eight bits, red green blue, and no interlacing.
EIGHT_BITS, TRUECOLOUR = 8, 2


def draw(raw: bytes, page: int) -> bytes:
    """A page of a PDF or a picture as PNG; empty when there is none of this number, the first is 1.

    Raises:
        Unreadable: the file cannot be opened.
    """
    pixels = pixels_of(raw, page, MAX_WIDTH) if kind_of(raw, "") == "image" else _drawn(raw, page)
    if pixels is None:
        return b""
    height, width = pixels.shape[:2]
    return _png(width, height, [row.tobytes() for row in pixels])


def pixels_of_page(raw: bytes, page: int, max_side: int) -> np.ndarray | None:
    """A page of a PDF for text recognition.

    Args:
        raw: the file.
        page: its number, the first is 1.
        max_side: its longer side, in pixels.

    Returns:
        uint8 [height, width, 3], red green blue; None when there is no such page.
    """
    return _rendered(raw, page, lambda width, height: max_side / max(width, height, 1.0))


def _drawn(raw: bytes, page: int) -> np.ndarray | None:
    return _rendered(
        raw, page, lambda width, height: min(MAX_SCALE, MAX_WIDTH / max(1.0, width), MAX_HEIGHT / max(1.0, height))
    )


def _rendered(raw: bytes, page: int, scale_of: Callable[[float, float], float]) -> np.ndarray | None:
    document = open_pdf(raw)
    try:
        if not 1 <= page <= len(document):
            return None
        drawn = document[page - 1]
        scale = scale_of(drawn.get_width(), drawn.get_height())
        pixels = drawn.render(scale=scale, rev_byteorder=True, prefer_bgrx=False).to_numpy()
        # A copy, because the bitmap's own memory goes with the document.
        return np.array(pixels[:, :, :3])
    finally:
        document.close()


def _png(width: int, height: int, rows: list[bytes]) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, EIGHT_BITS, TRUECOLOUR, 0, 0, 0)
    # Each row begins with the number of its filter; 0 is none.
    body = zlib.compress(b"".join(b"\0" + row for row in rows), 6)
    return SIGNATURE + _part(b"IHDR", head) + _part(b"IDAT", body) + _part(b"IEND", b"")


def _part(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
