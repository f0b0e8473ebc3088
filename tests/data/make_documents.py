"""Small documents of every kind that people add, made from code so that nothing binary is kept."""

from __future__ import annotations

import io
import zlib

HELVETICA = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
START, LINE = b"BT /F1 11 Tf 14 TL 50 780 Td ", b"(%b) Tj T*"


def pdf(*pages: str) -> bytes:
    """A PDF with a page for each text, Latin letters only."""
    streams = [START + b" ".join(LINE % _escaped(line) for line in page.split("\n")) + b" ET" for page in pages]
    return _pdf(streams, HELVETICA)


def report_pdf() -> bytes:
    """A PDF of two pages: titles in large letters, text, and a ruled table whose last row has one wide cell."""
    across = " ".join(f"50 {y} m 350 {y} l" for y in (600, 620, 640, 660))
    down = "50 600 m 50 660 l 350 600 m 350 660 l 200 620 m 200 660 l"
    cells = (
        (55, 645, "Fruit"),
        (205, 645, "Price | kg"),
        (55, 625, "Apple"),
        (205, 625, "3"),
        (55, 605, "Pears: none"),
    )
    words = " ".join(f"BT /F1 11 Tf {x} {y} Td ({text}) Tj ET" for x, y, text in cells)
    title = "BT /F1 22 Tf 50 780 Td (Annual report) Tj ET"
    text = "BT /F1 11 Tf 14 TL 50 750 Td (The year was mild, and the harvest was good in every) Tj T* (valley.) Tj ET"
    prices = "BT /F1 16 Tf 50 700 Td (Prices) Tj ET"
    after = "BT /F1 11 Tf 14 TL 50 560 Td (Prices are those of the market in the town, in francs.) Tj ET"
    first = f"{title} {text} {prices} {across} {down} S {words} {after}"
    second = "BT /F1 16 Tf 50 780 Td (Outlook) Tj ET BT /F1 11 Tf 50 750 Td (The next year will be colder.) Tj ET"
    return _pdf([first.encode(), second.encode()], HELVETICA)


def drawn_pdf(content: str) -> bytes:
    """A PDF whose page is drawn by these operators."""
    return _pdf([content.encode("latin-1")], HELVETICA)


def radical_pdf() -> bytes:
    """A PDF as browsers print it: its characters 方 and 用 come as code points of radicals."""
    cmap = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /R def /CMapType 2 def "
        b"1 begincodespacerange <00> <FF> endcodespacerange "
        b"5 beginbfchar <41> <2F45> <42> <6CD5> <43> <4F7F> <44> <2F64> <45> <3002> endbfchar "
        b"endcmap end end"
    )
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 4 0 R >>"
    return _pdf([b"BT /F1 11 Tf 50 780 Td (CDABE) Tj 0 -14 Td (CDABE) Tj ET"], font, cmap)


def image_pdf() -> bytes:
    """A PDF whose one page is a picture."""
    return _pdf([b"q 200 0 0 200 50 500 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x80 EI Q"], HELVETICA)


def locked_pdf() -> bytes:
    """A PDF that wants a password."""
    lock = b"<< /Filter /Standard /V 1 /R 2 /P -4 /O <%b> /U <%b> >>" % (b"ab" * 32, b"cd" * 32)
    return _pdf([b"BT /F1 11 Tf 50 780 Td (secret) Tj ET"], HELVETICA, lock=lock)


def docx() -> bytes:
    """A Word document: two headings, paragraphs, a list, a table with a table in it."""
    import docx as python_docx

    document = python_docx.Document()
    document.add_heading("Annual report", 1)
    document.add_paragraph("The year was mild and the harvest was good.")
    document.add_heading("Prices", 2)
    document.add_paragraph("Apples became cheaper.", style="List Bullet")
    table = document.add_table(2, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Fruit", "Price"
    table.cell(1, 0).text = "Apple"
    inner = table.cell(1, 1).add_table(1, 2)
    inner.cell(0, 0).text, inner.cell(0, 1).text = "3", "francs"
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def bomb_docx() -> bytes:
    """A Word document of a few kilobytes that unpacks to hundreds of megabytes."""
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        with archive.open("word/document.xml", "w") as member:
            for _ in range(300):
                member.write(bytes(1 << 20))
    return out.getvalue()


def png() -> bytes:
    """A picture of one pixel."""
    return b"\x89PNG\r\n\x1a\n" + bytes(60)


PAGE = b"""<!doctype html><html><head><title>T</title><style>p{}</style><meta charset="gb2312"></head><body>
<nav><a href="/">menu entry</a></nav><main><h1>\xd6\xaa\xca\xb6\xbf\xe2</h1><p>First <b>bold</b> paragraph,
on two lines, which is long enough to be taken for the content of the page by anybody who reads it, and then some more
words so that there are two hundred characters in it, at least.</p><script>var hidden = 1;</script><ul><li>one</li>
<li>two</li></ul><h2>Table</h2><table><tr><th>Name</th><th>Size</th></tr><tr><td>a</td><td>1</td></tr></table>
<pre>x = 1
y = 2</pre></main><footer>imprint</footer></body></html>"""


def _escaped(line: str) -> bytes:
    return line.encode("latin-1").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _pdf(streams: list[bytes], font: bytes, cmap: bytes = b"", lock: bytes = b"") -> bytes:
    kids = b" ".join(b"%d 0 R" % (5 + 2 * i) for i in range(len(streams)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%b] /Count %d >>" % (kids, len(streams)),
        font,
        _stream(cmap),
    ]
    for i, stream in enumerate(streams):
        page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R %b >>"
        objects.append(page % (6 + 2 * i, b"/Resources << /Font << /F1 3 0 R >> >>"))
        objects.append(_stream(stream))
    if lock:
        objects.append(lock)
    return _file(objects, lock=bool(lock))


def _stream(content: bytes) -> bytes:
    packed = zlib.compress(content)
    return b"<< /Length %d /Filter /FlateDecode >>\nstream\n%b\nendstream" % (len(packed), packed)


def _file(objects: list[bytes], *, lock: bool) -> bytes:
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    extra = b" /Encrypt %d 0 R /ID [<00> <00>]" % len(objects) if lock else b""
    out += b"trailer << /Size %d /Root 1 0 R%b >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, extra, start)
    return bytes(out)
