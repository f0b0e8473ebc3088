"""What is in a file that is a picture: its pages, as pixels; its text is what was recognised in them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from .base import Loaded, Unreadable
from .pdf import joined, looked_at
from .seen import Seen, Unseen
from .sniffing import picture_kind

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF")
# 100 million pixels are an A3 page at 600 dpi; beyond that stand pictures that are built to fill memory.
MAX_MEGAPIXELS = 100
MANY_PAGES = "TIFF"


def image(raw: bytes, max_pages: int, seen: Seen | None) -> Loaded:
    """The text of a picture; a TIFF file may have several pages.

    Args:
        raw: the file.
        max_pages: most pages.
        seen: what was recognised; None when pictures are not read here.

    Raises:
        Unreadable: pictures are not read here, or it is damaged or too large.
        Unseen: its text is to be recognised first.
    """
    if seen is None:
        raise refused(raw)
    with opened(raw) as picture:
        num_pages, media_type = _num_pages(picture), f"image/{picture.format.lower()}"
    if num_pages > max_pages:
        raise Unreadable(
            f"the picture has {num_pages} pages; the limit is {max_pages}", help="split it, or raise index.max_pages"
        )
    if missing := [page for page in range(1, num_pages + 1) if page not in seen]:
        raise Unseen(missing, num_pages)
    return joined([looked_at(seen[page]) for page in range(1, num_pages + 1)], media_type)


def refused(raw: bytes) -> Unreadable:
    """Why a picture is not taken where none is read."""
    return Unreadable(
        f"this is an image ({picture_kind(raw)}), not a document",
        help="pip install 'ragq[ocr]' lets the Index service read it (index.ocr), "
        "or run text recognition over it first and add the text or PDF",
    )


def opened(raw: bytes) -> Any:
    """The picture of these bytes, to be closed.

    Raises:
        Unreadable: it is damaged or too large.
    """
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # the limit here is ours, and has a reason
    try:
        picture = Image.open(io.BytesIO(raw), formats=FORMATS)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise Unreadable(f"the picture is damaged: {error}", help="open it in a viewer and save it again") from error
    millions = picture.width * picture.height / 1e6
    if millions > MAX_MEGAPIXELS:
        raise Unreadable(
            f"the picture has {millions:.0f} million pixels; the limit is {MAX_MEGAPIXELS} million",
            help="save it smaller",
        )
    return picture


def pixels_of(raw: bytes, page: int, max_side: int) -> np.ndarray | None:
    """A page of a picture, upright and on white.

    Args:
        raw: the file.
        page: its number, the first is 1.
        max_side: longest side of what comes back, in pixels; larger pictures are made smaller.

    Returns:
        uint8 [height, width, 3], red green blue; None when there is no such page.
    """
    from PIL import ImageOps

    with opened(raw) as picture:
        if not 1 <= page <= _num_pages(picture):
            return None
        picture.seek(page - 1)
        picture.draft("RGB", (max_side, max_side))
        upright = _on_white(ImageOps.exif_transpose(picture))
        upright.thumbnail((max_side, max_side))
        return np.asarray(upright)


def _num_pages(picture: Any) -> int:
    """Pages of a TIFF; the frames of an animation are not pages."""
    return int(getattr(picture, "n_frames", 1)) if picture.format == MANY_PAGES else 1


def _on_white(picture: Any) -> Any:
    from PIL import Image

    if picture.mode in ("RGB", "L"):
        return picture.convert("RGB")
    if picture.mode.startswith(("I", "F")):
        return _eight_bits(picture).convert("RGB")
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _eight_bits(picture: Any) -> Any:
    """Scanners write 16 bits a pixel; the highest eight are enough to read."""
    from PIL import Image

    values = np.asarray(picture, np.float32)
    spread = float(values.max() - values.min()) or 1.0
    return Image.fromarray(((values - values.min()) * (255 / spread)).astype(np.uint8))
