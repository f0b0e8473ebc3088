"""Which words of a text carry its meaning.

Latin and similar scripts: words without the commonest ones, lower case, endings cut. Chinese,
Japanese kana and Korean: pairs of neighbouring characters, because there are no spaces;
traditional Chinese characters count as the simplified ones.
"""

from __future__ import annotations

import re

from services.hanzi import comparable

CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
RUN = re.compile(f"[{CJK}]+|[^\\W_{CJK}]+(?:['’.-][^\\W_{CJK}]+)*")
IS_CJK = re.compile(f"[{CJK}]")
ENDINGS = ("ingly", "edly", "ing", "ies", "ed", "es", "ly", "s")
COMMON_ENGLISH = """
    a about after all also am an and any are as at be because been before being both but by can could
    did do does doing done for from get had has have having he her here him his how i if in into is it
    its just let many may me might more most much must my no nor not of off on one or other our out over
    own per please same shall she should so some such tell than that the their them then there these
    they this those through to too under until up use used very was we were what when where which while
    who whom whose why will with would you your
"""
COMMON = frozenset(COMMON_ENGLISH.split())
COMMON_CJK = frozenset(
    "的了是在和与或及也都就而但吗呢吧啊呀么被把从到对为以于之其该此这那哪个有没不会能可要请问谁几多少怎什如何我你他她它们"
)


def informative(text: str) -> list[str]:
    """The words, in order and with repetitions; may be empty."""
    found: list[str] = []
    for run in RUN.findall(comparable(text)):
        if IS_CJK.match(run):
            found.extend(_pairs(run))
        elif run not in COMMON:
            found.append(_stem(run))
    return found


def _pairs(run: str) -> list[str]:
    if len(run) == 1:
        return [] if run in COMMON_CJK else [run]
    pairs = [run[i : i + 2] for i in range(len(run) - 1)]
    return [pair for pair in pairs if not (pair[0] in COMMON_CJK and pair[1] in COMMON_CJK)]


def _stem(word: str) -> str:
    word = re.sub(r"['’]s?$", "", word)
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            stem = word[: -len(ending)]
            return stem + "y" if ending == "ies" else stem.rstrip("e") or stem
    return word.rstrip("e") if len(word) > 3 else word
