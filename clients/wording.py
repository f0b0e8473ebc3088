"""The words of prompts and refusals, in English and Chinese."""

from __future__ import annotations

from collections.abc import Sequence

from .answers import Cause, Decision, Round
from .asking import Ask
from .followup import is_cjk
from .index import Hit
from .llm import Message

STRICT = {
    "en": "Answer the question from the numbered passages only. Cite the passages you use like this: [1]. "
    "If they do not contain the answer, say that the documents do not contain it. Be brief.",
    "zh": "只根据下面编号的段落回答问题。用到的段落请这样标注：[1]。如果段落里没有答案，就说文档中没有。回答要简短。",
}
HELPFUL = {
    "en": "Answer the question, from the numbered passages where they help, citing them like this: [1]. "
    "Say clearly which part comes from your own knowledge. Be brief.",
    "zh": "回答问题。段落有用时请依据段落，并这样标注：[1]。来自你自己知识的部分要说明。回答要简短。",
}
BRIEF = {
    "en": "Text: {passages}\n\nQuestion: {question}\n\nAnswer from the text in one or two full sentences.",
    "zh": "资料：{passages}\n\n问题：{question}\n\n请根据资料用一两句完整的话回答。",
}
ABSENT: dict[Cause, dict[str, str]] = {
    "irrelevant": {
        "en": "This is not in {place}. {count} passages were found, and none is about it: the "
        "closest is in {document}; confidence {confidence:.2f}, and {threshold:.2f} is needed to answer. Documents "
        "about it would have to be added.",
        "zh": "{place}里没有这个问题的答案。找到 {count} 段，但都不相关：最接近的段落来自 {document}；"
        "置信度 {confidence:.2f}，回答需要 {threshold:.2f}。请补充相关的文档。",
    },
    "unsure": {
        "en": "This is not in {place} as far as can be told. Possibly related: {documents}; "
        "confidence {confidence:.2f}, and {threshold:.2f} is needed to answer.",
        "zh": "{place}里没有这个问题的答案，至少没有可靠的依据。可能相关：{documents}；"
        "置信度 {confidence:.2f}，回答需要 {threshold:.2f}。",
    },
    "incomplete": {
        "en": "Whether this is in {place} cannot be said now: a part of the search failed. The "
        "closest passage that it found is in {document}; please ask again later.",
        "zh": "现在无法判断{place}里有没有答案：检索的一部分失败了。找到的最接近的段落来自 {document}；请稍后再问。",
    },
    "nothing": {
        "en": "This is not in {place}: the search found nothing.",
        "zh": "{place}里没有这个问题的答案：没有召回任何内容。",
    },
    "pending": {
        "en": "The collection “{collection}” has no passages yet: {pending} documents are not ready. Please ask again "
        "when they are.",
        "zh": "知识库“{collection}”还没有内容：{pending} 篇文档尚未就绪。请稍后再问。",
    },
    "empty": {
        "en": "The collection “{collection}” is empty: add documents first.",
        "zh": "知识库“{collection}”是空的：请先添加文档。",
    },
}
PLACE = {"en": "the collection “{collection}”", "zh": "知识库“{collection}”"}
CHOSEN = {"en": "the chosen documents of the collection “{collection}”", "zh": "知识库“{collection}”选定的文档"}
NONE = {"en": "", "zh": ""}
PENDING = {"en": " {pending} documents are not ready yet.", "zh": "另有 {pending} 篇文档尚未就绪。"}
MAX_RELATED = 3


def language(question: str, settings: Ask) -> str:
    """``zh`` or ``en``: the setting, or the question's own."""
    if settings.language != "auto":
        return settings.language
    return "zh" if is_cjk(question) else "en"


def absent(
    collection: str,
    question: str,
    hits: Sequence[Hit],
    decision: Decision,
    settings: Ask,
    *,
    is_limited: bool = False,
) -> str:
    """What to say when the collection lacks the answer, and why; or what the settings say instead.

    Args:
        collection: its name.
        question: its language is answered in.
        hits: what was found.
        decision: why there is no answer.
        settings: how questions are answered.
        is_limited: some of the documents were searched, so nothing is said of the others.
    """
    if settings.absent:
        return settings.absent
    is_known = hits or decision.cause in ("empty", "pending")
    words = ABSENT[decision.cause or "irrelevant"] if is_known else ABSENT["nothing"]
    more = PENDING if decision.num_pending and decision.cause != "pending" else NONE
    spoken = language(question, settings)
    names = list(dict.fromkeys(hit.document for hit in hits))
    place = (CHOSEN if is_limited else PLACE)[spoken].format(collection=collection)
    return (words[spoken] + more[spoken]).format(
        collection=collection,
        place=place,
        count=len(hits),
        document=names[0] if names else "",
        documents=", ".join(names[:MAX_RELATED]),
        confidence=decision.confidence,
        threshold=decision.threshold,
        pending=decision.num_pending,
    )


def conversation(question: str, passages: Sequence[Hit], history: Sequence[Round], settings: Ask) -> list[Message]:
    """The turns to send to a chat model: rules, earlier rounds, passages and question."""
    rules = (STRICT if settings.mode == "strict" else HELPFUL)[language(question, settings)]
    if settings.instructions:
        rules = f"{rules}\n\n{settings.instructions}"
    numbered = "\n\n".join(f"[{i}] {hit.text}" for i, hit in enumerate(passages, 1))
    turns = [Message("system", rules)]
    for earlier in history:
        turns += [Message("user", earlier.question), Message("assistant", earlier.answer)]
    return [*turns, Message("user", f"{numbered}\n\n{question}")]


def short_conversation(question: str, passages: Sequence[Hit], settings: Ask) -> list[Message]:
    """The turn for a model of less than a thousand million parameters.

    Such a model takes rules and numbers for the answer: asked to cite, it answers "[1]" or repeats
    the rules. Citations are set afterwards, by what backs its sentences.
    """
    text = "\n\n".join(hit.text for hit in passages)
    turn = Message("user", BRIEF[language(question, settings)].format(passages=text, question=question))
    return [Message("system", settings.instructions), turn] if settings.instructions else [turn]
