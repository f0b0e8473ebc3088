"""What does a web page say, without its scripts, menus and footers."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Any

from .base import Loaded, Unreadable, Writer
from .decoding import decode

SKIPPED = frozenset(
    {
        "script", "style", "noscript", "template", "svg", "math", "head", "nav", "footer", "aside", "form", "button",
        "select", "iframe", "object", "canvas", "dialog", "menu",
    }
)  # fmt: skip
BLOCKS = frozenset(
    {
        "p", "div", "section", "article", "main", "header", "ul", "ol", "li", "dl", "dt", "dd", "blockquote",
        "figure", "figcaption", "address", "details", "summary", "hr", "body", "html", "fieldset", "tbody", "td", "th",
    }
)  # fmt: skip
HEADINGS = {f"h{level}": level for level in range(1, 7)}
SPACE = re.compile(r"[ \t\r\n\f\xa0]+")
DECLARED = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_-]{2,40})""", re.IGNORECASE)
MIN_MAIN_CHARS = 200


def html(raw: bytes) -> Loaded:
    """The text of a page.

    Raises:
        Unreadable: it has none.
    """
    from lxml import etree
    from lxml import html as lxml_html

    parser = lxml_html.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True)
    try:
        root = lxml_html.document_fromstring(_text(raw).encode(), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError) as error:
        raise Unreadable(f"the page cannot be read: {error}", help="save it again from a browser") from error
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):
        # The parser drops everything from there on without a word.
        raise Unreadable("the page nests its elements too deeply to be read", help="print it to a PDF from a browser")
    page = _Page()
    page.walk(_main(root))
    return page.writer.loaded("text/html")


def _text(raw: bytes) -> str:
    # A mark at the beginning is stronger than what the page says of itself, as in browsers.
    declared = None if raw.startswith(codecs.BOM_UTF8) else DECLARED.search(raw[:4096])
    if declared:
        try:
            # Pages that declare gb2312 use GBK's characters too.
            name = declared[1].decode().lower()
            return raw.decode({"gb2312": "gb18030", "gbk": "gb18030"}.get(name, name))
        except (UnicodeDecodeError, LookupError):
            pass  # the declaration is wrong; the bytes are looked at instead
    return decode(raw)


def _main(root: Any) -> Any:
    """The element that holds the content: the page's own mark for it when there is enough text in it."""
    for path in ("//main", "//*[@role='main']", "//article"):
        found = root.xpath(path)
        if len(found) == 1 and len(found[0].text_content().strip()) >= MIN_MAIN_CHARS:
            return found[0]
    return root


class _Page:
    """Walks the tree without recursion: pages nest deeper than Python's stack."""

    def __init__(self) -> None:
        self.writer = Writer()
        self._words: list[str] = []

    def walk(self, root: Any) -> None:
        stack: list[Iterator[Any]] = [iter([root])]
        closing: list[tuple[str, str]] = [("", "")]
        while stack:
            node = next(stack[-1], None)
            if node is None:
                stack.pop()
                tag, tail = closing.pop()
                self._leave(tag, tail)
            elif self._enter(node):
                stack.append(iter(node))
                closing.append((node.tag, node.tail or ""))
        self._flush()

    def _enter(self, node: Any) -> bool:
        """Whether the node's children are to be walked."""
        tag = node.tag
        if tag in SKIPPED or not isinstance(tag, str) or node.get("hidden") is not None:
            done = True
        else:
            done = self._whole(node, tag)
        if done:
            self._words.append(node.tail or "")
            return False
        if tag in BLOCKS:
            self._flush()
        if tag == "li":
            self._words.append("- ")
        self._words.append(node.text or "")
        return True

    def _whole(self, node: Any, tag: str) -> bool:
        if tag in HEADINGS:
            self._flush()
            if title := _squeezed(node.text_content()):
                self.writer.heading(HEADINGS[tag], title)
            return True
        if tag == "pre":
            self._flush()
            if code := node.text_content().strip("\n"):
                self.writer.block(code)
            return True
        if tag == "table" and not node.xpath(".//table"):
            self._flush()
            self._table(node)
            return True
        if tag == "br":
            self._words.append("\v")
            return True
        return False

    def _table(self, table: Any) -> None:
        rows = [[_squeezed(cell.text_content()) for cell in row.xpath("./td | ./th")] for row in table.xpath(".//tr")]
        lines = [" | ".join(row) for row in rows if any(row)]
        if lines:
            self.writer.block("\n".join(lines))

    def _leave(self, tag: str, tail: str) -> None:
        if tag in BLOCKS:
            self._flush()
        self._words.append(tail)

    def _flush(self) -> None:
        text = (
            SPACE.sub(" ", "".join(self._words)).replace(" \v", "\n").replace("\v ", "\n").replace("\v", "\n").strip()
        )
        self._words.clear()
        if not text or text == "-":
            return
        if text.startswith("- "):
            self.writer.line(text)
        else:
            self.writer.paragraph(text)


def _squeezed(text: str) -> str:
    return SPACE.sub(" ", text).strip()
