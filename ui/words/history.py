"""Words for the questions that were tried before."""

from __future__ import annotations

# key: (Chinese, English). Texts are plain; Markdown only where a page says so.
TABLE: dict[str, tuple[str, str]] = {
    "history.title": ("检索历史", "Tried before"),
    "history.about": (
        "在“{title}”中试过的问题，使用这个知识库的人都能看到。点击可以再试一次。",
        "What was tried on “{title}”, for everybody who uses it. A click tries it again.",
    ),
    "history.keep": ("记录我试过的问题", "Keep what I try"),
    "history.when": ("试过 {count} 次，最近一次：{time}", "Tried {count} times, last at {time}"),
    "history.forget": ("全部清除", "Forget all"),
    "history.off": (
        "没有记录检索历史：ragq.yml 中设置了 {setting}。",
        "Nothing is kept: ragq.yml says {setting}.",
    ),
}  # fmt: skip
