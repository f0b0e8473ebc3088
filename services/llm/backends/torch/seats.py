"""Which slot does a new text get, and how much of it is there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from services.llm.backends.pieces import common


@dataclass(slots=True, eq=False)
class Seat:
    """A slot and the ids whose keys and values it holds.

    Attributes:
        last_used: counts up; the seat with the lowest number was free for longest.
    """

    number: int
    ids: list[int] = field(default_factory=list)
    is_taken: bool = False
    last_used: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Seating:
    """A seat that was given.

    Attributes:
        num_kept: tokens of the prompt that need not be read again.
        source: the seat that holds them, if it is another one.
    """

    seat: Seat
    num_kept: int
    source: Seat | None = None


class Seats:
    """The slots of a generator; what a text left behind stays until its seat is given away.

    Args:
        number: of slots.
    """

    def __init__(self, number: int) -> None:
        self._seats = [Seat(n) for n in range(number)]
        self._uses = count(1)

    def __len__(self) -> int:
        return len(self._seats)

    @property
    def has_free(self) -> bool:
        """Whether one can be taken."""
        return any(not seat.is_taken for seat in self._seats)

    def take(self, prompt: Sequence[int]) -> Seating:
        """A free seat: the one that holds most of the prompt, or else the one that was free for longest.

        The last token of the prompt is always read again, for its logits.
        """
        free = [seat for seat in self._seats if not seat.is_taken]
        kept = {seat.number: min(common(prompt, seat.ids), len(prompt) - 1) for seat in self._seats}
        best = max(self._seats, key=lambda seat: kept[seat.number])
        chosen = max(free, key=lambda seat: (kept[seat.number], -seat.last_used))
        num_kept = kept[best.number]
        source = None
        if kept[chosen.number] < num_kept:
            # A busy seat holds more: copy, and leave alone what other free seats remember.
            chosen, source = min(free, key=lambda seat: (len(seat.ids) > 0, seat.last_used)), best
        elif not num_kept:
            chosen = min(free, key=lambda seat: (len(seat.ids) > 0, seat.last_used))
        chosen.is_taken, chosen.ids = True, list(prompt[:num_kept])
        return Seating(chosen, num_kept, source)

    def free(self, seat: Seat) -> None:
        """Its text is done."""
        seat.is_taken, seat.last_used = False, next(self._uses)

    def forget(self) -> None:
        """What the slots hold is not to be trusted any more."""
        for seat in self._seats:
            seat.ids = []
