"""Which questions does the page suggest for the sample knowledge base?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A question to try.

    Attributes:
        kind: what it shows: a plain lookup, a question in the other language than the page, one whose
            answer stands in a table, or one that the handbook cannot answer.
        documents: names of the documents that answer it, any of them; empty for ``absent``.
    """

    text: str
    kind: Literal["easy", "other_language", "table", "absent"]
    documents: tuple[str, ...] = ()


SUGGESTIONS: dict[str, tuple[Suggestion, ...]] = {
    "en": (
        Suggestion("What happens when I add the same file twice?", "easy", ("documents-and-ingest.md",)),
        Suggestion("文件入库失败了怎么办？", "other_language", ("故障排查.txt",)),
        Suggestion("Which ports does the Index service use?", "table", ("services-and-ports.pdf",)),
        Suggestion("How many employees does the company have?", "absent"),
    ),
    "zh": (
        Suggestion("ragq 怎么启动？", "easy", ("快速开始.md", "quick-start.md")),
        Suggestion("Can I change the embedding model of a collection?", "other_language", ("faq.txt",)),
        Suggestion("PDF 文件最多可以有多少页？", "table", ("文档格式与限制.docx",)),
        Suggestion("公司有多少名员工？", "absent"),
    ),
}
