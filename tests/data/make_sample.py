"""Makes the handbook's files that are not written by hand: two PDFs and a Word document.

Run ``python tests/data/make_sample.py`` from the repository's root after a change here; the same
words give the same bytes.
"""

from __future__ import annotations

import io
import sys
import zipfile
import zlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

HANDBOOK = Path(__file__).resolve().parents[2] / "services" / "index" / "sample" / "handbook"
EPOCH = (2025, 1, 1, 0, 0, 0)
LEFT, RIGHT, TOP = 60, 535, 780
ROW_HEIGHT, LINE_HEIGHT = 20, 15

PORTS = (
    ("Part", "Front port (clients)", "Back port (workers)", "What it does"),
    ("LLM service", "7781", "7782", "embeds, reranks and generates"),
    ("Index service", "7783", "7784", "keeps documents and searches them"),
    ("Tuning service", "7787", "7788", "tunes models; off by default"),
    ("HTTP face", "7780", "none", "speaks the OpenAI protocol"),
    ("Web page", "8501", "none", "the page for people"),
)
LIMITS = (
    ("Limit", "Default", "Setting"),
    ("Size of a file", "200 MB", "index.max_file_mb"),
    ("Pages of a PDF", "5000", "index.max_pages"),
    ("Time to read a file", "300 seconds", "index.parse_timeout_s"),
    ("Length of a chunk", "512 characters", "index.chunk_size"),
    ("Rounds of a chat that count", "6", "ask.rounds"),
)
FORMATS = (
    ("类型", "扩展名", "说明"),
    ("PDF", ".pdf", "需要有文字层；扫描件请先做文字识别"),
    ("Word", ".docx", "旧的 .doc 请另存为 .docx"),
    ("网页", ".html、.htm", "菜单、页脚和脚本会被去掉"),
    ("Markdown", ".md", "标题、表格和代码块保持完整"),
    ("表格", ".csv", "每一行单独成句；Excel 请另存为 CSV"),
    ("纯文本", ".txt", "自动识别 UTF-8、GBK、Big5 等编码"),
    ("源代码", ".py、.js、.java 等", "按行切分"),
)
BOUNDS = (
    ("项目", "默认上限", "配置项"),
    ("单个文件的大小", "200 MB", "index.max_file_mb"),
    ("PDF 的页数", "5000 页", "index.max_pages"),
    ("读取一个文件的时间", "300 秒", "index.parse_timeout_s"),
    ("文本块的长度", "512 个字符", "index.chunk_size"),
)


class Sheet:
    """One page of a PDF: text in Helvetica, and lines."""

    def __init__(self) -> None:
        self.y = TOP
        self._parts: list[str] = []

    def text(self, words: str, *, size: int = 11, bold: bool = False, x: int = LEFT) -> None:
        escaped = words.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        self._parts.append(f"BT /{'B' if bold else 'R'} {size} Tf {x} {self.y} Td ({escaped}) Tj ET")

    def heading(self, words: str, size: int) -> None:
        self.y -= size
        self.text(words, size=size, bold=True)
        self.y -= 10

    def paragraph(self, *lines: str) -> None:
        for line in lines:
            self.y -= LINE_HEIGHT
            self.text(line)
        self.y -= 12

    def table(self, rows: Sequence[Sequence[str]], columns: Sequence[int]) -> None:
        """Rows between ruled lines; ``columns`` are the left edges, and the right edge at the end."""
        top = self.y
        for number, row in enumerate(rows):
            self._line(LEFT, self.y, RIGHT, self.y)
            self.y -= ROW_HEIGHT
            at = self.y
            self.y += 6
            for words, x in zip(row, columns, strict=False):
                self.text(words, size=10, bold=number == 0, x=x + 5)
            self.y = at
        self._line(LEFT, self.y, RIGHT, self.y)
        for x in columns:
            self._line(x, top, x, self.y)
        self.y -= 8

    def _line(self, x0: int, y0: int, x1: int, y1: int) -> None:
        self._parts.append(f"0.7 w {x0} {y0} m {x1} {y1} l S")

    @property
    def content(self) -> bytes:
        return "\n".join(self._parts).encode("cp1252")


def ports_pdf() -> bytes:
    """Two pages: ports and limits, each a ruled table."""
    first = Sheet()
    first.heading("Services, ports and limits", 18)
    first.paragraph(
        "Each service of ragq stands behind a proxy with two ports. Clients connect to the front port,",
        "workers to the back port. All of them listen on 127.0.0.1 only.",
    )
    first.heading("Table 1: ports", 13)
    first.table(PORTS, (LEFT, 130, 240, 350, RIGHT))
    first.paragraph(
        "A client needs the front ports only. A worker on another machine needs the back port of its service.",
        "The option --port-offset 100 adds 100 to every port, so that a second ragq fits on one machine.",
    )
    second = Sheet()
    second.heading("Table 2: limits", 13)
    second.table(LIMITS, (LEFT, 230, 350, RIGHT))
    second.paragraph(
        "A file above a limit is refused, or marked as failed, with the reason. Every limit can be raised",
        "in ragq.yml under the setting in the last column.",
    )
    return pdf([(sheet.content, b"") for sheet in (first, second)])


def scan_pdf() -> bytes:
    """A page as a scanner makes it: a picture of lines, no text."""
    return pdf([(b"q 475 0 0 660 60 100 cm /I Do Q", _picture(95, 132))])


def _picture(width: int, height: int) -> bytes:
    rows = bytearray()
    for y in range(height):
        is_line = y % 6 in (2, 3) and y // 6 % 7 != 6
        end = width * (55 + y // 6 * 37 % 45) // 100
        rows += bytes(70 if is_line and x < end and (x * 7 + y // 6 * 5) % 11 else 245 for x in range(width))
    packed = zlib.compress(bytes(rows), 9)
    head = (
        f"<< /Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceGray"
        f" /BitsPerComponent 8 /Filter /FlateDecode /Length {len(packed)} >>"
    )
    return head.encode() + b"\nstream\n" + packed + b"\nendstream"


def pdf(pages: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A PDF of pages, each its drawing commands and an image object, which may be empty."""
    fonts = b"/R << /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >> "
    fonts += b"/B << /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>"
    kids = b" ".join(b"%d 0 R" % (3 + 3 * i) for i in range(len(pages)))
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(pages), kids)]
    for i, (content, image) in enumerate(pages):
        number = 3 + 3 * i
        images = b"/XObject << /I %d 0 R >> " % (number + 2) if image else b""
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R"
            b" /Resources << %s/Font << %s >> >> >>" % (number + 1, images, fonts)
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
        objects.append(image or b"null")
    return _assembled(objects)


def _assembled(objects: Sequence[bytes]) -> bytes:
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.writelines(b"%010d 00000 n \n" % offset for offset in offsets)
    out.write(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start))
    return out.getvalue()


def formats_docx() -> bytes:
    """A Chinese Word document with two tables: file types and limits."""
    import docx

    document = docx.Document()
    document.core_properties.created = document.core_properties.modified = datetime(*EPOCH)  # noqa: DTZ001 - Word keeps no zone
    document.core_properties.author = "ragq"
    document.add_heading("文档格式与限制", level=1)
    document.add_paragraph("本页列出 ragq 能读取的文件类型，以及各项默认上限。")
    document.add_heading("文件类型", level=2)
    document.add_paragraph("文件类型由内容决定，而不是由扩展名决定：一个名为 a.txt 的 PDF 会按 PDF 读取。")
    _table(document, FORMATS)
    document.add_paragraph("图片、压缩包、电子书和演示文稿不能直接添加，ragq 会说明该转换成什么格式。")
    document.add_heading("上限", level=2)
    _table(document, BOUNDS)
    document.add_paragraph("超过上限的文件会被拒绝，或标记为失败并写明原因。上限可以在 ragq.yml 中调高。")
    document.add_heading("文档的状态", level=2)
    document.add_paragraph(
        "文档依次经过排队（queued）、解析（parsing）、切分（chunking）、嵌入（embedding），最后是就绪（ready）、"
        "失败（failed）或取消（cancelled）。没有任何文字的文档算失败，不会显示为就绪。"
    )
    document.add_paragraph("同一个文件添加两次不会重复入库，因为文档的编号由内容的哈希值决定。")
    raw = io.BytesIO()
    document.save(raw)
    return _timeless(raw.getvalue())


def _table(document: object, rows: Sequence[Sequence[str]]) -> None:
    table = document.add_table(rows=0, cols=len(rows[0]), style="Table Grid")  # type: ignore[attr-defined]
    for row in rows:
        for cell, words in zip(table.add_row().cells, row, strict=True):
            cell.text = words


def _timeless(raw: bytes) -> bytes:
    """The same archive without the time of its making."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as given, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for entry in given.infolist():
            info = zipfile.ZipInfo(entry.filename, EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            made.writestr(info, given.read(entry))
    return out.getvalue()


def made() -> dict[str, bytes]:
    """Every file that this script makes, by name."""
    return {
        "services-and-ports.pdf": ports_pdf(),
        "scan-without-text.pdf": scan_pdf(),
        "文档格式与限制.docx": formats_docx(),
    }


def main() -> int:
    """Write the files."""
    for name, content in made().items():
        (HANDBOOK / name).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
