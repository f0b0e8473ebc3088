"""How many words of a scanned page are read right, with and without the spaces put back, and at what cost?

``python -m benchmarks.recognition`` draws pages in five fonts as JPEG of three qualities inside PDF files, at 100 dpi.
Needs the extra ``ocr`` and the fonts DejaVu and Liberation.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

from services.index.loaders import recognition, spacing

FONTS = (
    "dejavu/DejaVuSans.ttf",
    "dejavu/DejaVuSansMono.ttf",
    "liberation/LiberationSerif-Regular.ttf",
    "liberation/LiberationSans-Italic.ttf",
    "liberation/LiberationSansNarrow-Regular.ttf",
)
FOLDER = Path("/usr/share/fonts/truetype")
QUALITIES = (40, 75, 95)
LINES = (
    (34, "Regulations"),
    (18, "Every ship reports to the harbour master before it"),
    (18, "enters, and pays forty crowns for each night."),
    (14, "In 1987 the council's fee was raised to $4.50 (plus tax), i.e. 12 % more; see page 3."),
    (22, "WARNING: DO NOT ENTER AT NIGHT"),
    (16, "Filling illiterate will-o'-the-wisps, all little mills."),
)
WORDS = " ".join(text for _, text in LINES).split()


def page(font: str, quality: int) -> bytes:
    """A PDF whose page is a picture, 827 x 1169 pixels."""
    from PIL import Image, ImageDraw, ImageFont

    made = Image.new("RGB", (827, 1169), "white")
    pen, top = ImageDraw.Draw(made), 80
    for size, text in LINES:
        pen.text((80, top), text, fill="black", font=ImageFont.truetype(str(FOLDER / font), size))
        top += 2 * size if size > 20 else round(1.5 * size)
    out = io.BytesIO()
    made.save(out, "PDF", quality=quality)
    return out.getvalue()


def measured(pages: list[bytes], spaced: Callable[..., str]) -> tuple[int, float]:
    """Words read right, and processor seconds a page."""
    recognition.spaced = spaced  # type: ignore[assignment]
    started, right = time.process_time(), 0
    for raw in pages:
        read = " ".join(line.text for line in recognition.recognise(raw, 1)).split()
        right += sum(word in read for word in WORDS)
    return right, (time.process_time() - started) / len(pages)


def main() -> None:
    """Print a table."""
    pages = [page(font, quality) for font in FONTS for quality in QUALITIES]
    recognition.recognise(pages[0], 1)
    print("| spaces | words read right | of | processor seconds a page |\n|---|---|---|---|")
    for name, way in (("as the models give them", lambda letters, *_: "".join(letters)), ("put back", spacing.spaced)):
        right, seconds = measured(pages, way)
        print(f"| {name} | {right} | {len(WORDS) * len(pages)} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
