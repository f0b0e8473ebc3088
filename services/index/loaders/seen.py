"""What was recognised in pages that are pictures, and which of them are still to be looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SeenLine:
    """A line of text in a picture.

    Attributes:
        height: of its letters, as a multiple of what most lines of the page have.
    """

    text: str
    height: float = 1.0


# Lines by the number of their page; the first is 1.
Seen = Mapping[int, Sequence[SeenLine]]


class Unseen(Exception):
    """Pages are pictures that nobody has looked at yet.

    Attributes:
        pages: their numbers.
        num_pictures: how many pages of the document are pictures, the known ones too.
    """

    def __init__(self, pages: Sequence[int], num_pictures: int) -> None:
        super().__init__(f"{len(pages)} pages are to be read")
        self.pages = list(pages)
        self.num_pictures = num_pictures
