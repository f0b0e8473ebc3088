"""Which of the waiting texts make up the next forward pass.

There is no timer: what waits when a stream falls free is the choice. On a processor a padded batch
of mixed lengths costs more than one text at a time, so a batch begins with the text whose turn it
is and takes in only its neighbours in length, until a budget of padded tokens is spent or more
padding would cost as much as another forward pass. Texts that no pass can hold together, such as
the documents of two queries behind two prompts, stand in different groups.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Waiting(Generic[T]):
    """A text in the queue.

    Attributes:
        owner: the call that it belongs to; owners take turns.
        is_urgent: somebody looks at a screen for it: a question, not a document.
        is_wanted: asked when its turn comes; a text that nobody wants any more is dropped.
        group: only texts of one group go through together.
    """

    payload: T
    num_tokens: int
    owner: int
    is_urgent: bool = False
    is_wanted: Callable[[], bool] = field(default=lambda: True)
    group: Hashable = None


class Lane(Generic[T]):
    """Texts of one urgency: their owners in order of turn, and each group by length."""

    def __init__(self) -> None:
        self._turns: dict[int, dict[Waiting[T], None]] = {}
        self._groups: dict[Hashable, list[Waiting[T]]] = {}
        self._num_texts = 0

    def __len__(self) -> int:
        return self._num_texts

    def add(self, text: Waiting[T]) -> None:
        """Queue behind the texts of its owner."""
        self._turns.setdefault(text.owner, {})[text] = None
        insort(self._groups.setdefault(text.group, []), text, key=_length)
        self._num_texts += 1

    def remove(self, text: Waiting[T]) -> None:
        """Take one out, wherever it stands."""
        texts = self._turns[text.owner]
        del texts[text]
        if not texts:
            del self._turns[text.owner]
        group = self._groups[text.group]
        del group[_place(group, text)]
        if not group:
            del self._groups[text.group]
        self._num_texts -= 1

    def first(self) -> Waiting[T]:
        """The oldest text of the owner whose turn it is; that owner goes to the back."""
        owner = next(iter(self._turns))
        self._turns[owner] = self._turns.pop(owner)
        return next(iter(self._turns[owner]))

    def neighbours(self, text: Waiting[T]) -> tuple[list[Waiting[T]], list[Waiting[T]]]:
        """Of its group the shorter ones and the longer ones, each nearest last."""
        group = self._groups[text.group]
        place = _place(group, text)
        return group[:place], group[:place:-1]


class Batcher(Generic[T]):
    """The queue in front of a model; no threads, no clock.

    Questions go before documents, but at most every other time while documents wait: so a question
    waits for two forward passes at the most, and an owner of documents for twice as many as there
    are owners.

    Args:
        max_waste_tokens: padding that costs as much as one more forward pass.
        budget_tokens: padded tokens of a batch; a single longer text is a batch of its own.
        on_drop: told of every text that left the queue because nobody wants it.
    """

    def __init__(
        self, max_waste_tokens: int, budget_tokens: int, on_drop: Callable[[T], None] = lambda _: None
    ) -> None:
        self._max_waste = max_waste_tokens
        self._budget = budget_tokens
        self._on_drop = on_drop
        self._urgent: Lane[T] = Lane()
        self._patient: Lane[T] = Lane()
        self._was_urgent = False

    def __len__(self) -> int:
        return len(self._urgent) + len(self._patient)

    def add(self, texts: Iterable[Waiting[T]]) -> None:
        """Queue them in their order."""
        for text in texts:
            (self._urgent if text.is_urgent else self._patient).add(text)

    def take(self) -> list[Waiting[T]]:
        """The next batch, the anchor first; empty when nothing that is wanted waits."""
        first, second = (self._patient, self._urgent) if self._was_urgent else (self._urgent, self._patient)
        for lane in (first, second):
            anchor = self._anchor(lane)
            if anchor is not None:
                self._was_urgent = lane is self._urgent
                return self._grow(lane, anchor)
        self._was_urgent = False
        return []

    def _anchor(self, lane: Lane[T]) -> Waiting[T] | None:
        while len(lane):
            text = lane.first()
            if text.is_wanted():
                return text
            self._drop(lane, text)
        return None

    def _drop(self, lane: Lane[T], text: Waiting[T]) -> None:
        lane.remove(text)
        self._on_drop(text.payload)

    def _grow(self, lane: Lane[T], anchor: Waiting[T]) -> list[Waiting[T]]:
        batch = [anchor]
        shorter, longer = lane.neighbours(anchor)
        width = anchor.num_tokens
        while shorter or longer:
            text = self._nearer(shorter, longer, width, len(batch))
            grown = max(width, text.num_tokens)
            padded = grown * (len(batch) + 1)
            if padded > self._budget or padded - width * len(batch) - text.num_tokens > self._max_waste:
                break
            (shorter if shorter and shorter[-1] is text else longer).pop()
            if text.is_wanted():
                batch.append(text)
                width = grown
            else:
                self._drop(lane, text)
        for text in batch:
            lane.remove(text)
        return batch

    @staticmethod
    def _nearer(shorter: list[Waiting[T]], longer: list[Waiting[T]], width: int, count: int) -> Waiting[T]:
        """The neighbour that adds the least padding."""
        if not shorter or not longer:
            return (shorter or longer)[-1]
        below = width - shorter[-1].num_tokens
        above = (longer[-1].num_tokens - width) * count
        return shorter[-1] if below <= above else longer[-1]


def _place(group: list[Waiting[T]], text: Waiting[T]) -> int:
    place = bisect_left(group, text.num_tokens, key=_length)
    while group[place] is not text:
        place += 1
    return place


def _length(text: Waiting[T]) -> int:
    return text.num_tokens
