"""Which documents of a collection is a search limited to?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Within:
    """The documents that a search may find in: those that fit every field that says something.

    Upper and lower case are the same.

    Attributes:
        documents: ids, names, or patterns of names: ``*`` stands for any characters, ``/`` among them, ``?`` for one.
            A document fits this field that fits one of them.
        sources: where web pages come from: ``https://example.org/guide`` stands for that page and all below it,
            ``example.org`` for the host and the hosts below it.
        kinds: endings of names (``pdf``) or media types (``application/pdf``, ``image/*``).
    """

    documents: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether it limits anything."""
        return bool(self.documents or self.sources or self.kinds)

    def __str__(self) -> str:
        """For people: what it says, each field cut after three."""
        return "; ".join(map(shown, filter(None, (self.documents, self.sources, self.kinds))))


def shown(words: Sequence[str]) -> str:
    """The first three in quotes, and how many more there are."""
    first = ", ".join(f"'{word}'" for word in words[:MAX_SHOWN])
    more = len(words) - MAX_SHOWN
    return f"{first} and {more} more" if more > 0 else first


def within_of(given: Within | Sequence[str] | None) -> Within | None:
    """What programs give: documents in a list, one document, a whole `Within`, or nothing for all documents."""
    if given is None or isinstance(given, Within):
        return given or None
    documents = [given] if isinstance(given, str) else list(given)
    return Within(documents) if documents else None
