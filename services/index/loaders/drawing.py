"""How does a page of a PDF look: as the bytes of a PNG file."""

from __future__ import annotations

import struct
import zlib

from .pdf import open_pdf

MAX_WIDTH = 1200
MAX_HEIGHT = 3000
MAX_SCALE = 2.0
SIGNATURE = b"\x89PNG\r\n\x1a\n"
# PNG, second edition, 11.2.2: eight bits, red green blue, and no interlacing.
EIGHT_BITS, TRUECOLOUR = 8, 2


def draw(raw: bytes, page: int) -> bytes:
    """A page of a PDF as PNG; empty when there is none of this number, the first is 1.

    Raises:
        Unreadable: the PDF cannot be opened.
    """
    document = open_pdf(raw)
    try:
        if not 1 <= page <= len(document):
            return b""
        drawn = document[page - 1]
        scale = min(MAX_SCALE, MAX_WIDTH / max(1.0, drawn.get_width()), MAX_HEIGHT / max(1.0, drawn.get_height()))
        pixels = drawn.render(scale=scale, rev_byteorder=True, prefer_bgrx=False).to_numpy()
        height, width = pixels.shape[:2]
        return _png(width, height, [row.tobytes() for row in pixels[:, :, :3]])
    finally:
        document.close()


def _png(width: int, height: int, rows: list[bytes]) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, EIGHT_BITS, TRUECOLOUR, 0, 0, 0)
    # Each row begins with the number of its filter; 0 is none.
    body = zlib.compress(b"".join(b"\0" + row for row in rows), 6)
    return SIGNATURE + _part(b"IHDR", head) + _part(b"IDAT", body) + _part(b"IEND", b"")


def _part(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
