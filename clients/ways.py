"""Which way is searched: by meaning, by words or by both, and scored again or not; written ``hybrid+rerank``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from .errors import BadRequest
from .searching import Mode

RERANK = "rerank"


@dataclass(frozen=True, slots=True)
class Way:
    """How to search.

    Attributes:
        rerank: whether the first candidates are scored again.
    """

    mode: Mode = "hybrid"
    rerank: bool = True

    def __str__(self) -> str:
        return f"{self.mode}+{RERANK}" if self.rerank else self.mode


WAYS: tuple[Way, ...] = (
    Way("dense", rerank=False),
    Way("keyword", rerank=False),
    Way("hybrid", rerank=False),
    Way("hybrid", rerank=True),
)


def read_way(text: str) -> Way:
    """The way that a text such as ``keyword`` or ``hybrid+rerank`` names; BadRequest for any other text."""
    mode, plus, rerank = text.partition("+")
    known = {name: name for name in get_args(Mode)}
    if mode not in known or (plus and rerank != RERANK):
        raise BadRequest(f"{text!r} is no way to search", help="dense, keyword or hybrid, with +rerank or without")
    return Way(known[mode], bool(plus))
