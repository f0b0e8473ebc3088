"""What kind of content is it: told by its bytes first, by its name second."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import PurePath

from .base import Unreadable
from .records import MEDIA_TYPES as RECORDS
from .source import LANGUAGES

LINES = frozenset({"toml", "yaml", "yml", "ini", "cfg", "conf", "properties", "env", "xml", "log"})
TABLES = frozenset({"csv", "tsv", "tab"})
MARKDOWN = frozenset({"md", "markdown", "mdown", "mkd"})
BY_ENDING = {
    **dict.fromkeys(LANGUAGES, "source"),
    **dict.fromkeys(RECORDS, "records"),
    **dict.fromkeys(LINES, "lines"),
    **dict.fromkeys(TABLES, "delimited"),
    **dict.fromkeys(MARKDOWN, "markdown"),
    "eml": "mail",
}
HTML = frozenset({"html", "htm", "xhtml", "shtml"})
PAGE = re.compile(rb"<!doctype\s+html|<html[\s>]|<head[\s>]|<body[\s>]", re.IGNORECASE)
HEAD_BYTES = 4096
IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"BM", "BMP"),
    (b"RIFF", "WebP"),
)
# ISO/IEC 23008-12: brands of files that hold a photograph.
PHOTOS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis"})
BINARIES = (
    (b"{\\rtf", "an RTF file", "save it as DOCX"),
    (b"\x1f\x8b", "a gzip archive", "unpack it and add the files"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it and add the files"),
    (b"Rar!", "a RAR archive", "unpack it and add the files"),
    (b"BZh", "a bzip2 archive", "unpack it and add the files"),
    (b"\xfd7zXZ", "an xz archive", "unpack it and add the files"),
    (b"\x7fELF", "a program", "only documents can be added"),
    (b"MZ\x90", "a program", "only documents can be added"),
    (b"ID3", "a sound file", "only documents can be added"),
    (b"OggS", "a sound file", "only documents can be added"),
    (b"SQLite format 3", "a database", "export what you need as CSV or text"),
)
OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Names of streams inside such a file; what it is stands nowhere else.
OLD_KINDS = (
    (
        "EncryptedPackage",
        "an Office file that is locked with a password",
        "save a copy without a password and add that",
    ),
    ("WordDocument", "a Word document of the old format (.doc)", "save it as DOCX or PDF"),
    ("Workbook", "a workbook of the old format (.xls)", "save it as XLSX or CSV"),
    ("PowerPoint Document", "a presentation of the old format (.ppt)", "save it as PPTX or PDF"),
)
OFFICE = {"word/document.xml": "docx", "xl/workbook.xml": "workbook", "ppt/presentation.xml": "slides"}
ZIPS = (
    ("xl/workbook.bin", "a binary workbook (.xlsb)", "save it as XLSX"),
    ("META-INF/container.xml", "an e-book", "convert it to PDF or HTML"),
    ("content.xml", "an OpenDocument file", "save it as DOCX or PDF"),
)


def kind_of(raw: bytes, name: str) -> str:
    """``pdf``, ``image``, ``docx``, ``workbook``, ``slides``, ``html``, ``mail``, or a kind of text.

    Kinds of text are ``markdown``, ``delimited``, ``records``, ``source``, ``lines`` and ``plain``.

    Args:
        raw: the content; its first bytes decide, for archives the list at the end too.
        name: decides among the kinds of text only, so that a PDF named .txt is read as PDF.

    Raises:
        Unreadable: it is something else; the message says what.
    """
    head = raw[:HEAD_BYTES]
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _archive(raw)
    if head.startswith(OLD_OFFICE):
        raise _old_office(raw)
    if picture_kind(head):
        return "image"
    _refuse_binary(head)
    ending = ending_of(name)
    kind = BY_ENDING.get(ending, "plain")
    if kind == "plain" and (PAGE.search(head) or (ending in HTML and re.search(rb"<[a-zA-Z!/]", head))):
        return "html"
    return kind


def ending_of(name: str) -> str:
    """``csv`` of ``a.csv``; the name itself where there is none: ``makefile``."""
    path = PurePath(name.lower())
    return path.suffix.lstrip(".") or path.name


def picture_kind(head: bytes) -> str:
    """``PNG``, ``JPEG`` and the like; empty for all else."""
    # "BM" begins many a text, so a bitmap must look like one: its reserved bytes are zero.
    looks = {"BMP": head[6:10] == b"\0\0\0\0", "WebP": head[8:12] == b"WEBP"}
    return next((what for mark, what in IMAGES if head.startswith(mark) and looks.get(what, True)), "")


def _refuse_binary(head: bytes) -> None:
    if head[4:8] == b"ftyp" and head[8:12] in PHOTOS:
        raise Unreadable("this is an image (HEIC or AVIF), which cannot be read", help="save it as PNG or JPEG")
    for mark, what, fix in BINARIES:
        if head.startswith(mark):
            raise Unreadable(f"this is {what}, which cannot be read", help=fix)
    if head[:4] == b"RIFF" or head[4:8] == b"ftyp":
        raise Unreadable("this is a sound or video file, which cannot be read", help="add its transcript")


def _old_office(raw: bytes) -> Unreadable:
    for stream, what, fix in OLD_KINDS:
        if stream.encode("utf-16-le") in raw:
            return Unreadable(f"this is {what}, which cannot be read", help=fix)
    return Unreadable(
        "this is an old or password-protected Office file, which cannot be read",
        help="save it as DOCX, XLSX or PPTX without a password, or as PDF",
    )


def _archive(raw: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise Unreadable(
            f"the file is a damaged archive or Office file: {error}", help="save or download it again"
        ) from error
    for member, kind in OFFICE.items():
        if member in names:
            return kind
    for member, what, fix in ZIPS:
        if member in names:
            raise Unreadable(f"this is {what}, which cannot be read", help=fix)
    raise Unreadable("this is a zip archive, not a document", help="unpack it and add the files")
