"""What may a search find: the entries of the documents that it is limited to, kept for the next search like it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from clients.within import Within, shown

from .changes import Changes
from .entries import Entries
from .filters import Candidate, Filter
from .schema import Database
from .stores.base import ID_BYTES, Among

MAX_KEPT = 32
MAX_BYTES = 128 << 20
Key = tuple[int, frozenset[str], frozenset[str], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a search may find.

    Attributes:
        documents: ids of the documents that it is limited to; None for all.
        entries: of these documents; None where that is every entry of the collection.
        notes: what was asked for and is not searched, for people.
        number: the collection's number of changes when this was so.
    """

    documents: frozenset[str] | None = None
    entries: Among | None = None
    notes: list[str] = field(default_factory=list)
    number: int = -1

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to find."""
        return self.entries is not None and not len(self.entries)

    @property
    def num_bytes(self) -> int:
        """Memory that it takes, with what stores picked for it."""
        picked = self.entries.num_bytes if self.entries is not None else 0
        return ID_BYTES * len(self.documents or ()) + picked


EVERYTHING = Scope()


class Scopes:
    """Finds scopes on record, and keeps those that were asked for last.

    A scope holds as long as the collection's number of changes stays. Stores leave in its ids what they picked for them
    (see `Among`), so the same object is kept while the ids are the same; what all of them hold is bounded.
    """

    def __init__(self, database: Database, entries: Entries) -> None:
        self._database = database
        self._entries = entries
        self._changes = Changes(database)
        self._kept: OrderedDict[Key, Scope] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, collection_id: int, within: Within | None) -> Scope:
        """The scope of a search that begins now; BadRequest when the limit means nothing."""
        if not within:
            return EVERYTHING
        key = collection_id, frozenset(within.documents), frozenset(within.sources), frozenset(within.kinds)
        number = self._changes.number(collection_id)
        with self._lock:
            kept = self._kept.get(key)
        if kept is None or kept.number != number:
            kept = self._found(collection_id, Filter(within), kept)
        self._keep(key, kept)
        return kept

    def _found(self, collection_id: int, wanted: Filter, former: Scope | None) -> Scope:
        with self._database.snapshot() as read:
            number = self._changes.number(collection_id)
            rows = read.execute(
                "SELECT id, name, status, media_type, source FROM documents WHERE collection_id = ?", (collection_id,)
            )
            documents = list(map(Candidate._make, rows))
            fitting = wanted.chosen(documents)
            ready = frozenset(document.id for document in fitting if document.status == "ready")
            is_all = len(ready) == sum(document.status == "ready" for document in documents)
            entries = None if is_all and ready else self._entries.of_documents(ready)
        notes = _notes(wanted.unknown(documents, fitting), fitting, is_empty=not ready)
        return Scope(ready, None if entries is None else _same(entries, former), notes, number)

    def _keep(self, key: Key, scope: Scope) -> None:
        """Keep it as the last one that goes; the first ones go until what is left is small enough."""
        with self._lock:
            self._kept[key] = scope
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and (len(self._kept) > MAX_KEPT or self._num_bytes() > MAX_BYTES):
                self._kept.popitem(last=False)

    def _num_bytes(self) -> int:
        return sum(scope.num_bytes for scope in self._kept.values())


def _same(ids: Sequence[str], former: Scope | None) -> Among:
    """The ids, in the former object where they are those."""
    known = None if former is None else former.entries
    return known if known is not None and known.ids == tuple(ids) else Among(ids)


def _notes(unknown: Sequence[str], fitting: Sequence[Candidate], *, is_empty: bool) -> list[str]:
    unready = [f"{document.name} ({document.status})" for document in fitting if document.status != "ready"]
    notes = [f"the collection has no document {shown(unknown)}"] if unknown else []
    if unready:
        notes.append(f"not searched, because not ready: {shown(unready)}")
    return [*notes, "no document fits what the search is limited to, so nothing was searched"] if is_empty else notes
