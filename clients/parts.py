"""How do many texts travel: in several calls, each with a part of them, and a word about each part that is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Q = TypeVar("Q")
R = TypeVar("R")
MAX_CHARS_PER_CALL = 400_000
TEXTS_PER_PROGRESS = 16


@dataclass(frozen=True, slots=True)
class Progress(Generic[R]):
    """A part of the texts is done.

    Attributes:
        done, total: how many texts are done by now, and how many there are.
        indices: which texts this part holds; parts may end in another order than they were sent.
        part: their Embeddings or Scores, in the order of ``indices``; what it calls truncated is counted
            from the start of the part.
    """

    done: int
    total: int
    indices: range
    part: R


OnProgress = Callable[[Progress[R]], object]


@dataclass(frozen=True, slots=True)
class Split(Generic[Q]):
    """A request that is too long for one call: its parts, and which texts each of them holds."""

    requests: list[Q]
    cuts: list[range]

    def teller(self, on_progress: OnProgress[Any] | None) -> Callable[[int, Any], object] | None:
        """What is to be called with the number of a part and its reply; None when nobody wants to know."""
        if on_progress is None:
            return None
        tell, total, done = on_progress, sum(map(len, self.cuts)), 0

        def heard(number: int, reply: object) -> object:
            nonlocal done
            done += len(self.cuts[number])
            return tell(Progress(done, total, self.cuts[number], reply))

        return heard


def cut(num_chars: Sequence[int], max_texts: int, *, tells: bool = False) -> list[range]:
    """Which texts go together into a call: neighbours, up to a number and to 400,000 characters.

    Args:
        num_chars: of each text, in their order.
        max_texts: that one call takes.
        tells: somebody waits for word of each part, so that parts are small.
    """
    limit = min(max_texts, TEXTS_PER_PROGRESS) if tells else max_texts
    cuts: list[range] = []
    start = total = 0
    for i, length in enumerate(num_chars):
        if i > start and (i - start >= limit or total + length > MAX_CHARS_PER_CALL):
            cuts.append(range(start, i))
            start, total = i, 0
        total += length
    return [*cuts, range(start, len(num_chars))] if num_chars else []


def shifted(truncated: Sequence[Sequence[int]], cuts: Sequence[range]) -> list[int]:
    """Which of all texts were truncated, from what each part says of its own."""
    return [piece.start + i for indices, piece in zip(truncated, cuts, strict=True) for i in indices]
