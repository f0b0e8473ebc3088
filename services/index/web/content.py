"""What of a fetched page is kept: its bytes in an encoding that is certain, its kind, and a name to show."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from email.message import Message
from html import unescape
from urllib.parse import unquote, urlsplit

MAX_NAME_CHARS = 200
TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
TITLE_CHARS = 100_000
HTML = frozenset({"text/html", "application/xhtml+xml"})
# Every byte sequence of these is valid UTF-8 or could be, so the header is asked before the bytes are.
TOLD_BY_HEADER = ("utf-16", "utf_16", "utf-32", "utf_32", "iso-2022", "iso2022", "hz")
# Begins the shifts of ISO-2022, whose bytes are all ASCII.
ESCAPE = b"\x1b"


@dataclass(frozen=True, slots=True)
class Content:
    """A page as it is kept.

    Attributes:
        media_type: ``text/html`` or ``text/markdown`` when the server said so; empty lets the bytes be looked at.
    """

    name: str
    media_type: str
    raw: bytes


def content(url: str, content_type: str, raw: bytes) -> Content:
    """Make of a response what is kept.

    Args:
        url: where it came from; its last part names what has no title.
        content_type: the header, empty when there was none.
        raw: the body.
    """
    header = Message()
    header["Content-Type"] = content_type or "application/octet-stream"
    kind = header.get_content_type()
    text = _text(raw, _charset(header)) if kind in HTML or kind.startswith("text/") else None
    if kind in HTML:
        title = _title(text if text is not None else raw.decode("utf-8", "replace"))
        # The mark tells the encoding to every reader, whatever the page's own meta element claims.
        kept = raw if text is None else codecs.BOM_UTF8 + text.encode()
        return Content(title or _last_part(url), "text/html", kept)
    if text is not None:
        return Content(_last_part(url), "text/markdown" if kind == "text/markdown" else "", text.encode())
    return Content(_last_part(url), "", raw)


def _charset(header: Message) -> str:
    named = str(header.get_param("charset", "") or "").strip().lower()
    try:
        return {"gb2312": "gb18030", "gbk": "gb18030"}.get(named, codecs.lookup(named).name) if named else ""
    except LookupError:
        return ""


def _text(raw: bytes, charset: str) -> str | None:
    """The text of bytes by mark, then UTF-8, then the header; None leaves it to the page and the reader.

    Text beyond ASCII that happens to be valid UTF-8 is UTF-8: servers that announce Latin-1 for all are many.
    """
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if raw.startswith(mark):
            return _decoded(raw, encoding)
    is_told = charset.startswith(TOLD_BY_HEADER) or ESCAPE in raw
    order = (charset, "utf-8") if charset and is_told else ("" if is_told else "utf-8", charset)
    return next((text for encoding in order if encoding and (text := _decoded(raw, encoding)) is not None), None)


def _decoded(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except (UnicodeError, LookupError):
        return None


def _title(page: str) -> str:
    found = TITLE.search(page[:TITLE_CHARS])
    return " ".join(unescape(found[1]).split())[:MAX_NAME_CHARS] if found else ""


def _last_part(url: str) -> str:
    parts = urlsplit(url)
    last = unquote(parts.path.rstrip("/").rpartition("/")[2])
    return (last or parts.hostname or url)[:MAX_NAME_CHARS]
