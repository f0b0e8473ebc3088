"""Words for the page of retrieval tests."""

from __future__ import annotations

# key: (Chinese, English). Texts are plain; Markdown only where a page says so.
TABLE: dict[str, tuple[str, str]] = {
    "retrieval.title": ("检索测试", "Retrieval test"),
    "retrieval.about": (
        "比较“{title}”的几种检索方式，看看提问时会怎样决定。这里不生成答案。",
        "Compare ways to search “{title}”, and see what would be decided for a question. Nothing is generated here.",
    ),
    "retrieval.questions": ("问题，每行一个", "Questions, one per line"),
    "retrieval.questions_help": (
        "最多 {count} 个问题。问题和设置都在网址里，刷新或分享都不会丢失。",
        "Up to {count}. Questions and settings stand in the address: a reload or a shared link keeps them.",
    ),
    "retrieval.search": ("检索", "Search"),
    "retrieval.ways": ("检索方式", "Ways to search"),
    "retrieval.top_k": ("结果数", "Hits"),
    "retrieval.thresholds": ("回答的阈值（下、上）", "Thresholds of the decision (lower, upper)"),
    "retrieval.thresholds_help": (
        "达到上阈值就回答，低于下阈值就说资料里没有，在两者之间再按关键词检索一次。提问时使用 {low} 和 {high}。",
        "Answered from the upper one on, lacking below the lower one, a second search between. Now: {low} and {high}.",
    ),
    "retrieval.single": ("一次只看一种方式", "One way at a time"),
    "retrieval.none_chosen": ("请至少选择一种检索方式。", "Choose at least one way to search."),
    "retrieval.way.dense": ("语义", "Meaning"),
    "retrieval.way.keyword": ("关键词", "Keywords"),
    "retrieval.way.hybrid": ("语义 + 关键词", "Both"),
    "retrieval.way.dense+rerank": ("语义，重排", "Meaning, reranked"),
    "retrieval.way.keyword+rerank": ("关键词，重排", "Keywords, reranked"),
    "retrieval.way.hybrid+rerank": ("语义 + 关键词，重排", "Both, reranked"),
    "retrieval.cost": ("{count} 条 · {took}", "{count} hits · {took}"),
    "retrieval.nothing": ("没有结果。", "Nothing was found."),
    "retrieval.open": ("查看原文", "See the source"),
    "retrieval.route.answer": ("会回答", "Would answer"),
    "retrieval.route.fallback": ("再按关键词检索后会回答", "Would answer after a second search, by keywords"),
    "retrieval.route.absent": ("会说资料里没有", "Would say that the documents lack it"),
    "hit.dense": ("语义第 {rank} 名", "meaning (#{rank})"),
    "hit.keyword": ("关键词第 {rank} 名", "words (#{rank})"),
    "hit.and": ("，", " and "),
    "hit.by": ("{ways}", "Found by {ways}"),
    "hit.by_meaning_only": (
        "语义第 {rank} 名，不含问题中的词语",
        "Found by meaning (#{rank}); it has none of the question’s words",
    ),
    "hit.reranked": ("；重排第 {rank} 名", "; the reranker has it at #{rank}"),
    "hit.stop": ("。", "."),
}  # fmt: skip
