"""How is a text written for comparing its words: in one case, one width, and with simplified Chinese characters?"""

from __future__ import annotations

import unicodedata
from functools import cache

FIRST, LAST = 0x3400, 0x9FFF


def comparable(text: str) -> str:
    """The text in lower case, in NFKC (full width and compatibility forms become plain), and `simplified`."""
    return simplified(unicodedata.normalize("NFKC", text).lower())


def simplified(text: str) -> str:
    """The text with each traditional character replaced by the simplified one, as long as before.

    It is meant for comparing: one simplified character may stand for several traditional ones (乾, 幹 and 干), so the
    way back is not one to one. The pairs are OpenCC's, taken character by character.
    """
    return text if text.isascii() else text.translate(_table())


@cache
def _table() -> dict[int, str]:
    import opencc

    characters = [chr(number) for number in range(FIRST, LAST + 1)]
    # Between line ends, so that OpenCC sees no words: they would make a character mean different things.
    forms = opencc.OpenCC("t2s").convert("\n".join(characters)).split("\n")
    return {ord(character): form for character, form in zip(characters, forms, strict=True) if form != character}
