"""Which passages back what a model wrote?"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .followup import CJK, CJK_RANGE

WORD = re.compile(rf"[{CJK_RANGE}]+|[^\W_{CJK_RANGE}]{{3,}}|\d+")
SENTENCE = re.compile(r"[^.!?。！？\n]*[^\W_][^.!?。！？\n]*(?:[.!?。！？](?=\d)[^.!?。！？\n]*)*")
MIN_SHARE = 0.5
COMMON = frozenset(
    ["the", "and", "for", "that", "this", "with", "from", "are", "was", "were", "has", "have", "not", "its"]
)


def backing(text: str, passages: Sequence[str]) -> list[int]:
    """The passages that back sentences of a text, in their order; empty when none does.

    A passage backs a sentence when it has at least half of its words (English words of three letters
    and more, Chinese pairs of characters, numbers) and no other passage has more.
    """
    known = [_words(passage) for passage in passages]
    best = (_best(_words(sentence), known) for sentence in SENTENCE.findall(text))
    return sorted({number for number in best if number is not None})


def _best(words: set[str], passages: Sequence[set[str]]) -> int | None:
    shares = [len(words & passage) / len(words) if words else 0.0 for passage in passages]
    top = max(shares, default=0.0)
    return shares.index(top) if top >= MIN_SHARE else None


def _words(text: str) -> set[str]:
    words: set[str] = set()
    for run in WORD.findall(text.lower()):
        if CJK.match(run):
            words.update(run[i : i + 2] for i in range(max(1, len(run) - 1)))
        elif run not in COMMON:
            words.add(run)
    return words
