"""Does every file that people really have end in a known state, with a reason and what to do about it?"""

from __future__ import annotations

import io
import itertools
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from clients import index as contract
from clients.errors import TooLarge
from clients.index import Chunking
from services.index.chunking import chunk
from services.index.loaders import load
from tests.data import make_documents as make
from tests.data import make_office as office
from tests.data.make_office import formula, row

pytestmark = pytest.mark.process
OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
CHINESE = "知识库的检索方法：先检索，再回答。\n"
TWO_COLUMNS = row(1, A="Name", B="Sum") + row(2, A="ball", B=formula("1+2", "3"))

READABLE = {
    "radicals.pdf": (make.radical_pdf(), "使用方法"),
    "gbk.txt": (CHINESE.encode("gbk"), "检索方法"),
    "a pdf by another name.docx": (make.pdf("read me anyway"), "read me anyway"),
    "a workbook by another name.csv": (office.workbook({"S": TWO_COLUMNS}), "Name: ball | Sum: 3"),
    "formulas.xlsx": (office.workbook({"S": TWO_COLUMNS}), "Name: ball | Sum: 3"),
    "nested.docx": (make.docx(), "Apple | 3 | francs"),
    "a text.pdf": (b"no PDF at all", "no PDF at all"),
    "cut off in a letter.txt": (CHINESE.encode() * 9 + "知".encode()[:2], "先检索"),
    "no ending": (b"just words", "just words"),
    "one line.json": (b'{"name": "ball"}', "name: ball"),
}


def bomb_workbook() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
        with archive.open("xl/worksheets/sheet1.xml", "w") as member:
            for _ in range(100):
                member.write(bytes(1 << 20))
    return out.getvalue()


def lying_workbook() -> bytes:
    """An archive whose list says that its members are small."""
    raw = office.workbook({"S": "".join(row(n, A="x" * 100) for n in range(1, 2000))})
    at = raw.index(b"PK\x01\x02", raw.index(b"xl/worksheets/s1.xml") + 40)
    at = raw.rindex(b"PK\x01\x02", 0, raw.index(b"xl/worksheets/s1.xml", at))
    return raw[: at + 24] + (10).to_bytes(4, "little") + raw[at + 28 :]


UNREADABLE = {
    "empty.txt": (b"", "the file is empty", "right file"),
    "spaces.txt": (b" \n\t \n", "the file is empty", "right file"),
    "locked.pdf": (make.locked_pdf(), "locked with a password", "without a password"),
    "locked.xlsx": (
        OLD_OFFICE + "EncryptedPackage".encode("utf-16-le"), "locked with a password", "without a password"
    ),
    "scanned.pdf": (make.image_pdf(), "images", "pip install 'ragq[ocr]'"),
    "bomb.xlsx": (bomb_workbook(), "would unpack to 100 MB", "save it again"),
    "bomb.docx": (make.bomb_docx(), "would unpack to 300 MB", "save it again"),
    "lying.xlsx": (lying_workbook(), "is damaged", "save it again"),
    "noise.txt": (bytes(range(256)) * 40, "not text", "convert it"),
    "cut off.xlsx": (office.workbook({"S": TWO_COLUMNS})[:-40], "damaged archive", "save or download it again"),
    "cut off.pdf": (make.pdf("words")[:200], "damaged", "print it to a new PDF"),
    "hollow.xlsx": (office.packed({"xl/workbook.xml": "<not closed"}), "is damaged", "save it again"),
    "nothing.xlsx": (office.workbook({"S": ""}), "no text in it", "shows text"),
    "nothing.pptx": (office.slides(""), "no text in it", "shows text"),
    "archive.zip": (office.packed({"a.txt": "x"}), "zip archive", "unpack it"),
    "empty.zip": (office.packed({}), "zip archive", "unpack it"),
    "old.doc": (OLD_OFFICE + "WordDocument".encode("utf-16-le"), "old format (.doc)", "DOCX"),
    "old.xls": (OLD_OFFICE + "Workbook".encode("utf-16-le"), "old format (.xls)", "XLSX"),
    "old.ppt": (OLD_OFFICE + "PowerPoint Document".encode("utf-16-le"), "old format (.ppt)", "PPTX"),
    "binary.xlsx": (office.packed({"xl/workbook.bin": b"x"}), "binary workbook", "XLSX"),
    "photo.txt": (make.png(), "image (PNG)", "pip install 'ragq[ocr]'"),
}  # fmt: skip


@pytest.mark.parametrize("name", READABLE)
def test_what_can_be_read_is_found(desk: Any, name: str) -> None:
    content, words = READABLE[name]
    job = desk.upload(name, content)
    assert (job.status, job.num_failed) == ("succeeded", 0)
    document = desk.documents().documents[0]
    assert document.status == "ready"
    chunks = desk.call(contract.CHUNKS, contract.ListChunks(document.id)).chunks
    assert any(words in c.text for c in chunks), chunks


def test_what_cannot_be_read_fails_with_a_reason_and_a_cure(open_desk: Callable[..., Any]) -> None:
    desk = open_desk(ocr="never")
    for name, (content, reason, fix) in UNREADABLE.items():
        desk.upload(name, content, collection=name.replace(".", "-").replace(" ", "-"))
        (document,) = desk.documents(name.replace(".", "-").replace(" ", "-")).documents
        assert (document.status, document.num_chunks) == ("failed", 0), name
        assert reason in document.reason, (name, document.reason)
        assert fix in document.fix, (name, document.fix)


def test_a_file_above_the_limit_is_refused_at_its_first_part(open_desk: Callable[..., Any]) -> None:
    with pytest.raises(TooLarge, match="the limit is 1 MB") as refused:
        open_desk(max_file_mb=1).upload("large.txt", b"x" * (2 << 20))
    assert "max_file_mb" in refused.value.help


def test_a_text_of_a_hundred_megabytes_is_cut_as_it_is_needed() -> None:
    raw = b"All of it is one line without an end, as programs write it, and nobody breaks it. " * 1_250_000
    assert len(raw) > 100e6
    pieces = list(itertools.islice(chunk(load(raw, "large.txt", 1), Chunking()), 50))
    assert len(pieces) == 50
    assert all(len(piece.text) <= 512 for piece in pieces)
