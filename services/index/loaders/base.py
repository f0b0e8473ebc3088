"""What a loader makes of bytes: a text, and where its pages, headings and blocks are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from clients.errors import RequestError

CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
SCRIPTS = {
    "ja": re.compile("[\u3040-\u30ff]"),
    "ko": re.compile("[\uac00-\ud7af]"),
    "zh": re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"),
    "ru": re.compile("[\u0400-\u04ff]"),
    "ar": re.compile("[\u0600-\u06ff]"),
}
ENGLISH = re.compile(r"\b(?:the|and|of|to|in|is|for|with|that|are|was|this)\b", re.IGNORECASE)
SAMPLE_CHARS = 20_000


class Unreadable(RequestError):
    """A document that cannot be read; ``message`` is the reason, ``help`` what to do about it."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: ``text[start:end]`` is its line, level 1 is the highest."""

    start: int
    end: int
    level: int
    title: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """A document's text.

    Attributes:
        pages: offset of each page's first character; empty where the format has no pages.
        headings: in the order of the text.
        blocks: spans that are kept whole where they fit: tables, code.
        is_lines: each line stands for itself, as in tables of values and source code.
    """

    text: str
    media_type: str
    pages: list[int] = field(default_factory=list)
    headings: list[Heading] = field(default_factory=list)
    blocks: list[tuple[int, int]] = field(default_factory=list)
    is_lines: bool = False

    @property
    def language(self) -> str:
        """Code of the language by its script and a few words; empty when in doubt."""
        sample = self.text[:SAMPLE_CHARS]
        num_letters = sum(map(str.isalpha, sample)) or 1
        for language, script in SCRIPTS.items():
            if len(script.findall(sample)) > 0.15 * num_letters:
                return language
        return "en" if len(ENGLISH.findall(sample)) > 0.05 * (sample.count(" ") + 1) else ""


@dataclass(slots=True)
class Writer:
    """Collects a text piece by piece and remembers where its marks are."""

    parts: list[str] = field(default_factory=list)
    length: int = 0
    headings: list[Heading] = field(default_factory=list)
    blocks: list[tuple[int, int]] = field(default_factory=list)

    def paragraph(self, text: str) -> tuple[int, int]:
        """Append a paragraph below an empty line; its span."""
        if self.length:
            self._append("\n\n")
        start = self.length
        self._append(text)
        return start, self.length

    def line(self, text: str) -> tuple[int, int]:
        """Append a line; its span."""
        if self.length:
            self._append("\n")
        start = self.length
        self._append(text)
        return start, self.length

    def heading(self, level: int, title: str) -> None:
        """Append a heading."""
        start, end = self.paragraph(title)
        self.headings.append(Heading(start, end, level, title))

    def block(self, text: str) -> None:
        """Append a table or a piece of code."""
        self.blocks.append(self.paragraph(text))

    def _append(self, text: str) -> None:
        self.parts.append(text)
        self.length += len(text)

    def loaded(self, media_type: str) -> Loaded:
        """The document."""
        return Loaded("".join(self.parts), media_type, headings=self.headings, blocks=self.blocks)
