"""What kind of answer does a question want: a number, a way to do something, the meaning of a word?"""

from __future__ import annotations

import re
from dataclasses import dataclass

FOR_NUMBER = re.compile(
    r"\b(when|how (many|much|long|far|old|often|large|big|high|fast)|(what|which) (year|date|number|percentage|port))\b"
    "|多少|几[个年月天次位种]|何时|什么时候|哪一?年|多[长久大高]",
    re.IGNORECASE,
)
HAS_NUMBER = re.compile(
    r"\d|[一二三四五六七八九十百千万亿]+[年月日个次位种元]"
    r"|\b(one|two|three|four|five|six|seven|eight|nine|ten|twelve|hundred|thousand|million)\b",
    re.IGNORECASE,
)
FOR_WAY = re.compile(r"\bhow (do|can|to|should)\b|\bwhich command|怎[样么]|如何", re.IGNORECASE)
HAS_WAY = re.compile(r"`|(?<!\w)--[a-z]|^(?:Run|Use|Save|Open|Give)\b|请|可以用|运行")
FOR_MEANING = re.compile(
    r"what (?:is|are|does) (?:an? |the )?(?P<en>[^?]{1,40}?)(?: mean)?\s*\??"
    r"|什么是(?P<zh>[^?？]{1,20})[?？]?|(?P<what>[^?？]{1,20})是什么(?:意思)?[?？]?",
    re.IGNORECASE,
)
NUMBER_BONUS, WAY_BONUS, MEANING_BONUS = 0.05, 0.12, 0.2


@dataclass(frozen=True, slots=True)
class Wish:
    """What would be worth more in an answer.

    Attributes:
        number, way: bonus for a sentence with a number, and for one that tells what to run or to do.
        thing: what is to be explained, in small letters; empty when the question asks for no meaning.
    """

    number: float
    way: float
    thing: str

    @property
    def share(self) -> float:
        """All bonuses together."""
        return self.number + self.way + (MEANING_BONUS if self.thing else 0.0)

    def bonus(self, text: str, term: str) -> float:
        """What a sentence earns.

        Args:
            text: the sentence.
            term: the term or heading that it explains; a slash stands between two names of one thing.
        """
        return (
            (self.number if HAS_NUMBER.search(text) else 0.0)
            + (self.way if has_way(text) else 0.0)
            + (MEANING_BONUS if self.thing and self._is_meant(text, term) else 0.0)
        )

    def _is_meant(self, text: str, term: str) -> bool:
        names = [name.strip().casefold() for name in term.split("/")]
        return self.thing in names or text.lstrip("*#- ").casefold().startswith(self.thing)


def wish(question: str) -> Wish:
    """What a question wants."""
    meaning = FOR_MEANING.fullmatch(question.strip())
    thing = next(filter(None, meaning.groups()), "").strip().casefold() if meaning else ""
    return Wish(
        NUMBER_BONUS if FOR_NUMBER.search(question) else 0.0, WAY_BONUS if FOR_WAY.search(question) else 0.0, thing
    )


def has_way(text: str) -> bool:
    """Whether a text tells what to run or to do."""
    return HAS_WAY.search(text) is not None
