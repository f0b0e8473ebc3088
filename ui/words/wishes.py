"""Words for the settings of a chat."""

from __future__ import annotations

# key: (Chinese, English). Texts are plain; Markdown only where a page says so.
TABLE: dict[str, tuple[str, str]] = {
    "wishes.title": ("回答设置", "Answer settings"),
    "wishes.title_changed": ("回答设置（已改 {count} 项）", "Answer settings ({count} changed)"),
    "wishes.about": (
        "只影响这个页面之后的提问；保存在网址里。默认值来自 ragq.yml。",
        "For the next questions on this page; kept in its address. The defaults are those of ragq.yml.",
    ),
    "wishes.answer": ("回答方式", "Answers"),
    "wishes.answer.auto": ("自动", "automatic"),
    "wishes.answer.extractive": ("摘录原文", "quoted sentences"),
    "wishes.answer.written": ("由模型撰写", "written by the model"),
    "wishes.mode": ("依据", "Grounds"),
    "wishes.mode.strict": ("只用文档", "the documents only"),
    "wishes.mode.helpful": ("模型可以补充", "the model may add what it knows"),
    "wishes.rounds": ("参考的历史轮数", "Earlier rounds that count"),
    "wishes.top_k": ("检索段数", "Passages searched"),
    "wishes.passages": ("交给模型的段数", "Passages given to the model"),
    "wishes.thresholds": ("回答的阈值（下、上）", "Thresholds (lower, upper)"),
    "wishes.thresholds_help": (
        "不改动时，使用知识库校准得到的阈值（如果有）。",
        "Unless moved, the thresholds fitted to the knowledge base hold, where there are any.",
    ),
    "wishes.anyway": ("没有依据也回答", "Answer even without grounds"),
    "wishes.instructions": ("给模型的附加要求", "Instructions for the model"),
    "wishes.instructions_hint": ("例如：语气正式，先说结论", "For example: be formal, begin with the conclusion"),
    "wishes.absent": ("没有答案时的说法", "What to say without an answer"),
    "wishes.absent_hint": ("留空则说明原因", "Empty: the reason"),
    "wishes.opener": ("开场白", "Opening words"),
    "wishes.opener_hint": (
        "提问前显示；方括号里的一行是可点击的问题：[怎样开始？]",
        "Said before the first question; a line in brackets is a button: [How do I begin?]",
    ),
    "wishes.show_sources": ("显示引用", "Show sources"),
    "wishes.show_sources_help": (
        "关闭后，回答不带编号、来源和依据。",
        "Without it, answers come without numbers, sources and the reasons behind them.",
    ),
    "wishes.temperature": ("随机程度", "Temperature"),
    "wishes.presence_penalty": ("重复惩罚（出现）", "Presence penalty"),
    "wishes.frequency_penalty": ("重复惩罚（频率）", "Frequency penalty"),
    "wishes.reset": ("恢复默认", "Back to the defaults"),
}  # fmt: skip
