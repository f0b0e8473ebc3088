"""What does a stored e-mail say: who wrote what to whom, and which files hang on it."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage, MIMEPart
from email.policy import default

from .base import Loaded, Unreadable, Writer
from .decoding import decode
from .html import html

MEDIA_TYPE = "message/rfc822"
SHOWN = ("From", "To", "Cc", "Date")


def mail(raw: bytes) -> Loaded:
    """The text of an e-mail below its subject; attached files are named, not read.

    Raises:
        Unreadable: there is no letter in it.
    """
    message = message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)
    if not message.keys():
        raise Unreadable("the file is no e-mail: it has no header", help="export the letter again as .eml")
    writer = Writer()
    writer.heading(1, _header(message, "Subject") or "E-mail")
    if heads := [f"{name}: {value}" for name in SHOWN if (value := _header(message, name))]:
        writer.paragraph("\n".join(heads))
    if body := _body(message):
        writer.paragraph(body)
    for part in message.iter_attachments():
        writer.paragraph(f"Attached: {part.get_filename() or part.get_content_type()}")
    return writer.loaded(MEDIA_TYPE)


def _header(message: EmailMessage, name: str) -> str:
    return " ".join(str(message.get(name, "")).split())


def _body(message: EmailMessage) -> str:
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return ""
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    if not content.strip():
        return ""
    if part.get_content_subtype() == "html":
        return html(_in_unicode(part, content).encode()).text
    return _in_unicode(part, content).replace("\r\n", "\n").strip()


def _in_unicode(part: MIMEPart, content: bytes) -> str:
    charset = part.get_content_charset()
    try:
        return content.decode(charset) if charset else decode(content)
    except (LookupError, UnicodeDecodeError):
        return decode(content)  # the letter names an encoding that its bytes are not in
