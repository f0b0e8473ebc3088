"""Which words and character pairs of a text can be searched for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from services.hanzi import comparable

from .loaders.base import CJK

RUN = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+")
IS_CJK = re.compile(f"[{CJK}]")
MAX_WORD = 64
# Words that say nothing about what is asked.
STOP = frozenset(
    re.findall(
        r"\w+",
        """
        a about an and any are as at be been but by can could did do does for from had has have how i if in into is it
        its me my no not of on or our should so such than that the their them then there these they this to us was we
        were what when where which who whom whose why will with would you your
        """,
    )
)
STOP_CJK = re.compile(
    "什么|甚么|怎么样|怎么|怎样|如何|为什么|为何|哪些|哪个|哪里|哪|多少|几个|是否|有没有|请问|可以|吗|呢|吧|的|了|是|在|和|与|及|或|"
    "什麼|怎麼樣|怎麼|為什麼|為何|哪裡|幾個|嗎|與"
)


def tokens(text: str) -> Iterator[str]:
    """Words in lower case, and CJK runs as overlapping pairs of characters (a run of one as itself).

    The text is brought to NFKC and to simplified characters first, so that full-width letters, compatibility forms and
    traditional characters match.
    """
    for run in RUN.findall(comparable(text)):
        if not IS_CJK.match(run):
            yield run[:MAX_WORD]
        elif len(run) == 1:
            yield run
        else:
            for i in range(len(run) - 1):
                yield run[i : i + 2]


def telling_tokens(question: str) -> list[str]:
    """The tokens of a question that say what it asks for; all of them when none would be left."""
    kept = STOP_CJK.sub(" ", unicodedata.normalize("NFKC", question).lower())
    telling = [token for token in tokens(kept) if token not in STOP]
    return list(dict.fromkeys(telling or tokens(question)))
