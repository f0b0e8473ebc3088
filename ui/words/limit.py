"""Words for the choice of documents that are searched."""

from __future__ import annotations

# key: (Chinese, English). Texts are plain; Markdown only where a page says so.
TABLE: dict[str, tuple[str, str]] = {
    "limit.documents": ("只在这些文档中查找", "Only in these documents"),
    "limit.all": ("全部文档", "All documents"),
    "limit.help": (
        "可以选择文档，也可以输入名称或通配，例如 {pattern}：{any} 代表任意字符，{one} 代表一个字符。",
        "Choose documents, or type a name or a pattern such as {pattern}: {any} is any characters, {one} is one.",
    ),
}  # fmt: skip
