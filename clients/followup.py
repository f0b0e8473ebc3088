"""What to search for when a question leans on the rounds before it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .answers import Round

CJK_RANGE = "\u3400-\u9fff\uf900-\ufaff"
CJK = re.compile(f"[{CJK_RANGE}]")
POINTERS_EN = re.compile(
    r"\b(it|its|they|them|their|this|that|these|those|he|she|his|her|there|one|ones|same|former|latter|previous|above|else|more)\b",
    re.IGNORECASE,
)
POINTERS_ZH = re.compile(r"它|他|她|这|那|其|该|上述|前者|后者|呢")
OPENERS_EN = re.compile(r"^\s*(and|but|so|or|also|what about|how about|why|then|which)\b", re.IGNORECASE)
OPENERS_ZH = re.compile(r"^\s*(那么?|还有|另外|为什么|怎么|如何)")
SHORT_WORDS = 4
SHORT_CJK = 8


def standalone(question: str, history: Sequence[Round]) -> str:
    """The question as a search query that needs no history.

    A question that points back (a pronoun, an opener such as "and", or very few words) is searched together
    with the rounds that it leans on: the last question that names what it is about, and those since then. Any other one
    stands for itself.

    Args:
        question: as it was asked.
        history: the rounds that count, oldest first.
    """
    if not history or not _leans_back(question):
        return question
    asked = [question]
    for earlier in reversed(history):
        asked.insert(0, earlier.question)
        if not _lacks_topic(earlier.question):
            break
    return " ".join(dict.fromkeys(asked))


def is_cjk(text: str) -> bool:
    """Whether a text is Chinese for our purposes: a fifth of its letters are ideographs."""
    letters = [c for c in text if c.isalpha()]
    return bool(letters) and len(CJK.findall(text)) * 5 >= len(letters)


def _leans_back(question: str) -> bool:
    if is_cjk(question):
        return (
            bool(POINTERS_ZH.search(question) or OPENERS_ZH.search(question)) or len(CJK.findall(question)) <= SHORT_CJK
        )
    return bool(POINTERS_EN.search(question) or OPENERS_EN.search(question)) or len(question.split()) <= SHORT_WORDS


def _lacks_topic(question: str) -> bool:
    """Whether the question before is needed too: a pronoun, or an opener with hardly a word more."""
    if is_cjk(question):
        return bool(POINTERS_ZH.search(question))
    is_short = len(question.split()) <= SHORT_WORDS
    return bool(POINTERS_EN.search(question) or (OPENERS_EN.search(question) and is_short))
