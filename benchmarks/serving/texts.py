"""Which texts are sent: real English of this project's own pages, in the two mixes of lengths that are measured."""

from __future__ import annotations

import math
import random
import re
from functools import cache
from pathlib import Path

from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("services/index/sample/handbook/*.md", "docs/*.md")
SPECIAL = 2
MEDIAN, MEAN = 93, 112
LENGTHS = {"documents": (16, 400), "queries": (8, 64)}


class Mix:
    """Texts by their numbers of tokens; no two of them are the same, so that no memory of a server helps it.

    Args:
        tokenizer: path of the model's tokenizer.json; WordPiece, whose words do not depend on each other.
    """

    def __init__(self, tokenizer: str) -> None:
        words = _words()
        read = Tokenizer.from_file(tokenizer)
        read.no_truncation()
        read.no_padding()
        self._words = [(word, len(read.encode(word, add_special_tokens=False).ids)) for word in words]

    def texts(self, name: str, count: int, seed: int) -> list[str]:
        """The same texts for the same seed, and other ones for another."""
        randomly = random.Random(f"{name} {seed}")
        return [self._text(randomly, _length(name, randomly)) for _ in range(count)]

    def _text(self, randomly: random.Random, num_tokens: int) -> str:
        at, left, taken = randomly.randrange(len(self._words)), num_tokens - SPECIAL, list[str]()
        while left > 0:
            word, length = self._words[at % len(self._words)]
            taken.append(word)
            left -= length
            at += 1 + (randomly.random() < 0.1)
        return " ".join(taken)


def _length(name: str, randomly: random.Random) -> int:
    """Lognormal for documents, uniform for queries."""
    low, high = LENGTHS[name]
    if name == "queries":
        return randomly.randint(low, high)
    drawn = MEDIAN * math.exp(randomly.gauss(0.0, math.sqrt(2 * math.log(MEAN / MEDIAN))))
    return int(min(max(drawn, low), high))


@cache
def _words() -> list[str]:
    pages = [path.read_text(encoding="utf-8") for name in PAGES for path in sorted(ROOT.glob(name))]
    prose = re.sub(r"```.*?```|[|`#*<>\[\]]", " ", " ".join(pages), flags=re.DOTALL)
    return [word for word in prose.split() if word.isascii()]
