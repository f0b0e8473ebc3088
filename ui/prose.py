"""How a text from outside becomes blocks of plain spans, so that nothing in it is ever read as markup by the page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

Look = Literal["plain", "strong", "code", "quiet", "mark", "chip", "link"]
Shape = Literal["paragraph", "heading", "item", "number", "code", "quiet", "quote", "cite"]

MARKER = re.compile(r"\[(\d{1,3})\]")
_INLINE = re.compile(r"\*\*(?P<strong>[^*\n]+)\*\*|`(?P<code>[^`\n]+)`|\[(?P<marker>\d{1,3})\]")
_LINE = re.compile(r"\s*(?:(?P<heading>#{1,6})\s+|(?P<item>[-*•])\s+|(?P<number>\d{1,3}[.)、])\s+)?(?P<rest>.*)")
_GAP = re.compile(r"\s+")
# Chinese is written without spaces, so a line break between two of its characters stands for nothing.
_CJK_GAP = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef])\s*\n\s*(?=[\u3000-\u9fff\uff00-\uffef])")
_LINE_MARKS = re.compile(r"^\s*(?:#{1,6}\s+|`{3,}\w*\s+)|\s+`{3,}\s*$")
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|~$<>&])")
_SHORTCODE = re.compile(r":(?=[\w+-]+[:\[/])")


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text with one look.

    Attributes:
        target: which passage a chip or a link opens; -1 for text.
    """

    text: str
    look: Look = "plain"
    target: int = -1


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, an item of a list, a heading, lines of code, words of a document or where they stand."""

    spans: list[Span]
    shape: Shape = "paragraph"


def plain_dicts(blocks: Iterable[Block]) -> list[dict[str, object]]:
    """Blocks as the page's component receives them."""
    return [asdict(block) for block in blocks]


def escaped(text: str) -> str:
    """The text for places that read Markdown, such as the label of a button, so that it shows as it is."""
    one_line = " ".join(text.split())
    return _SPECIAL.sub(r"\\\1", _SHORTCODE.sub(":\u2060", one_line))


def shortened(text: str, max_chars: int) -> str:
    """The text on one line, cut with an ellipsis."""
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= max_chars else one_line[: max_chars - 1].rstrip() + "…"


def quoted(text: str, targets: Mapping[int, int], *, in_order: bool = False) -> list[Block]:
    """A text of quoted sentences, each ending with its chip; other markers are the document's own.

    Args:
        text: sentences, each in a paragraph that ends with its marker.
        targets: marker to the passage that its chip opens.
        in_order: the i-th paragraph's chip opens passage i, for answers that quote a passage twice.
    """
    return [
        Block(_ending(piece, targets, i if in_order else -1), "quote")
        for i, piece in enumerate(piece for piece in re.split(r"\n\s*\n", text) if piece.strip())
    ]


def _ending(piece: str, targets: Mapping[int, int], place: int) -> list[Span]:
    found = re.fullmatch(r"(?s)(.*?)\s*\[(\d{1,3})\]\s*", piece)
    if found is None or int(found[2]) not in targets:
        return _inline(_bare(piece), {})
    target = place if place >= 0 else targets[int(found[2])]
    return [*_inline(_bare(found[1]), {}), Span(" "), Span(found[2], "chip", target)]


def _bare(sentence: str) -> str:
    """The sentence on one line without the marks of Markdown: a heading's, a code fence's; a table row as its cells."""
    text = _GAP.sub(" ", _CJK_GAP.sub("", _LINE_MARKS.sub("", sentence))).strip()
    is_row = text.count(" | ") > 1 or (len(text) > 2 and text.startswith("|") and text.endswith("|"))
    return " · ".join(cell.strip() for cell in text.strip("|").split("|")) if is_row else text


def written(text: str, targets: Mapping[int, int]) -> list[Block]:
    """A text by a model: paragraphs, lists, headings, bold and code; links, images and HTML stay text.

    Args:
        text: as the model wrote it.
        targets: marker to the passage that its chip opens; other markers stay text.
    """
    blocks: list[Block] = []
    for i, part in enumerate(re.split(r"^\s*```[^\n]*$", text, flags=re.MULTILINE)):
        if i % 2:
            blocks.append(Block([Span(part.strip("\n"), "code")], "code"))
        else:
            blocks += _lines(part, targets)
    return blocks


def _lines(part: str, targets: Mapping[int, int]) -> list[Block]:
    blocks: list[Block] = []
    joins = False
    for line in part.split("\n"):
        found = _LINE.fullmatch(line)
        assert found is not None
        if not found["rest"].strip():
            joins = False
            continue
        block = _block(found, targets)
        if joins and block.shape == "paragraph":
            blocks[-1] = Block([*blocks[-1].spans, Span("\n"), *block.spans], blocks[-1].shape)
        else:
            blocks.append(block)
        joins = block.shape == "paragraph"
    return blocks


def _block(found: re.Match[str], targets: Mapping[int, int]) -> Block:
    spans = _inline(found["rest"].rstrip(), targets)
    if found["heading"]:
        return Block(spans, "heading")
    if found["number"]:
        return Block([Span(f"{found['number']} "), *spans], "number")
    return Block(spans, "item" if found["item"] else "paragraph")


def _inline(line: str, targets: Mapping[int, int]) -> list[Span]:
    spans: list[Span] = []
    at = 0
    for found in _INLINE.finditer(line):
        if found.start() > at:
            spans.append(Span(line[at : found.start()]))
        spans.append(_span(found, targets))
        at = found.end()
    if at < len(line):
        spans.append(Span(line[at:]))
    return spans


def _span(found: re.Match[str], targets: Mapping[int, int]) -> Span:
    if found["strong"]:
        return Span(found["strong"], "strong")
    if found["code"]:
        return Span(found["code"], "code")
    target = targets.get(int(found["marker"]), -1)
    return Span(found["marker"], "chip", target) if target >= 0 else Span(found[0])
