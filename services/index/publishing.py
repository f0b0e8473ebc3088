"""How do the stores come to hold what the records say, neither less nor more."""

from __future__ import annotations

import itertools
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from clients.checkup import Fault
from clients.errors import RagqError, StoreAway

from .catalog import Catalog, Shelf, shelf_key, store_key
from .chunks import Stored
from .documents import Work
from .entries import Entry, distinct
from .keyword import KeywordIndexes
from .shadows import Shadow, Shadows
from .stores.base import VectorStore

BATCH = 5000
TELL_EVERY_S = 5.0
log = logging.getLogger(__name__)


class Publisher:
    """Writes vectors and words of embedded documents to the stores, and takes out what is stale.

    A document is published when all of its vectors are on record, so a search never meets half of
    one. What is deleted is on record as stale before the stores are asked to forget it: a process
    that dies in between leaves nothing behind, because its successor goes on with the list.
    """

    def __init__(self, catalog: Catalog, store: VectorStore, keywords: KeywordIndexes) -> None:
        self._catalog = catalog
        self._store = store
        self._keywords = keywords
        self._shadows = Shadows(catalog.database)
        self._lock = threading.Lock()

    def publish(self, shelf: Shelf, documents: Sequence[Work]) -> list[str]:
        """Bring documents that are fully embedded into the stores, and call them ready.

        Returns:
            Digests of the contents whose place they take: former versions of web pages.
        """
        replaced: list[str] = []
        for chunks, complete in self._slices(documents):
            with self._lock:
                self._sweep()
                self._put(self._now(shelf), self._catalog.documents.entries.new(shelf.id, distinct(chunks)))
                with self._catalog.database.write() as tx:
                    # What was dropped since the slice was read is in the stores now, and no record says so.
                    self._catalog.documents.entries.disown(tx, shelf.id, chunks)
                    for document in complete:
                        if self._catalog.documents.ready(tx, document.id):
                            replaced += self._catalog.versions.supersede(tx, [document.id])
                if replaced:
                    self._sweep()
        return replaced

    def renew(self, shelf: Shelf, ids: Sequence[str]) -> None:
        """Let the stores forget what is stale, and learn the entries of chunks that a person changed.

        The change is on record already, so a server that is away learns it when it is back, with all that it lacks.
        """
        with self._lock:
            try:
                self._sweep()
                self._put(self._now(shelf), list(self._catalog.documents.entries.by_id(shelf.id, ids)))
            except StoreAway as error:
                log.warning("what was changed in %s reaches the vector store later: %s", shelf.name, error.message)
                self._catalog.changes.keep_mark("")
            self._catalog.changes.touch(shelf.id)

    def open(self, shelf: Shelf) -> None:
        """Make room for a collection, so that a search meets an empty one instead of none."""
        with self._lock:
            self._store.create(shelf.store_key)

    def _now(self, shelf: Shelf) -> Shelf:
        """The collection as it is on record: its vectors may be of another generation than when it was read."""
        return self._catalog.shelf_of(shelf.id) or shelf

    def _slices(self, documents: Sequence[Work]) -> Iterator[tuple[list[Stored], list[Work]]]:
        """Chunks in slices of a bounded size, each with the documents that it completes."""
        held: list[Stored] = []
        complete: list[Work] = []
        for document in documents:
            after = 0
            while page := self._catalog.documents.chunks.of_document(document.id, after, BATCH):
                after = page[-1].key
                if len(held) + len(page) > BATCH:
                    yield held, complete
                    held, complete = [], []
                held += page
            complete.append(document)
        yield held, complete

    def _put(self, shelf: Shelf, entries: list[Entry]) -> None:
        if entries:
            self._put_vectors(shelf, entries)
            self._keywords.update(shelf.key, entries)

    def shade(self, shadow: Shadow, ids: Sequence[str]) -> None:
        """Write entries of a shadow, of those that have vectors in it, to the store beside the present ones."""
        with self._lock:
            if self._shadows.is_wanted(shadow):
                self._put_vectors(shadow.shelf, list(self._entries_of(shadow, ids)))

    def swap(self, shadow: Shadow, finish: Callable[[sqlite3.Connection], None]) -> bool:
        """Let a shadow take its place when it holds all that is to be found, else bring it nearer to that.

        Searches go on by the present vectors until the records say otherwise, and by the new ones from then on. What
        was changed on record meanwhile comes to the stores under the lock that this holds, and so to the new ones.

        Args:
            shadow: what is to be searched.
            finish: what else belongs to the transaction.

        Returns:
            Whether it took its place.
        """
        with self._lock:
            self._sweep()
            entries, new = self._catalog.documents.entries, shadow.shelf
            wanted, held = entries.wanted(new.id), self._store.ids(new.store_key)
            self._store.delete(new.store_key, sorted(held - wanted))
            if missing := sorted(wanted - held):
                if self._shadows.is_wanted(shadow):
                    self._put_vectors(new, list(self._entries_of(shadow, missing[:BATCH])))
                return False
            self._store.create(new.store_key)
            with self._catalog.database.write() as tx:
                is_swapped = self._shadows.swap(tx, shadow)
                if is_swapped:
                    finish(tx)
            self._sweep()
            return is_swapped

    def _entries_of(self, shadow: Shadow, ids: Sequence[str]) -> Iterator[Entry]:
        return self._catalog.documents.entries.by_id(shadow.shelf.id, ids, shadow.shelf.generation)

    def _put_vectors(self, shelf: Shelf, entries: list[Entry]) -> None:
        if entries:
            self._store.create(shelf.store_key)
            self._store.upsert(shelf.store_key, [e.id for e in entries], np.stack([e.vector for e in entries]))

    def sweep(self) -> None:
        """Let the stores forget what the records call stale; a server that is away forgets it when it is back."""
        with self._lock:
            try:
                self._sweep()
            except StoreAway as error:
                log.warning("what was deleted leaves the vector store later: %s", error.message)

    def _sweep(self) -> None:
        for collection_id, generation in self._catalog.generations.stale():
            self._store.drop(store_key(collection_id, generation))
            if self._catalog.shelf_of(collection_id) is None:
                self._keywords.drop(shelf_key(collection_id))
            self._catalog.generations.forgotten(collection_id, generation)
        entries = self._catalog.documents.entries
        while stale := entries.stale(BATCH):
            for collection_id, group in itertools.groupby(stale, key=lambda pair: pair[0]):
                ids = [id_ for _, id_ in group]
                gone = entries.unused(collection_id, ids)
                shelf = self._catalog.shelf_of(collection_id)
                if gone and shelf is not None:
                    self._store.delete(shelf.store_key, gone)
                    self._keywords.update(shelf.key, gone=gone)
                entries.forget(collection_id, gone, sorted(set(ids) - set(gone)))

    def reconcile(self) -> list[str]:
        """Compare the stores with the records, and write anew what is missing.

        Returns:
            One line per collection that had to be mended.
        """
        self.sweep()
        return [line for shelf in self._catalog.shelves() if (line := self.mend(shelf))]

    def mend(self, shelf: Shelf) -> str:
        """Write anew what the stores lack of a collection, and take out what is too much; a line about it, or none."""
        with self._lock:
            self._sweep()
            return self._mend(self._now(shelf))

    def rebuild(self, shelf: Shelf) -> None:
        """Make a collection's vectors anew from the records; until that is done searches find part of them."""
        with self._lock:
            shelf = self._now(shelf)
            self._store.drop(shelf.store_key)
            self._mend(shelf)

    def compare(self, shelf: Shelf) -> dict[Fault, set[str]]:
        """Where the stores differ from the records: ids of entries by what is wrong; empty when nothing is."""
        entries = self._catalog.documents.entries
        with self._lock:
            self._sweep()
            coming, wanted = entries.coming(shelf.id), entries.wanted(shelf.id)
            allowed = wanted | coming
            held, words = self._store.ids(self._now(shelf).store_key), self._keywords.of(shelf.key).ids()
        found: dict[Fault, set[str]] = {
            "missing_vectors": wanted - held,
            "surplus_vectors": held - allowed,
            "missing_words": wanted - words,
            "surplus_words": words - allowed,
        }
        # What was deleted since the records were read is not missing: the next sweep takes it out.
        now = entries.wanted(shelf.id)
        return {fault: left for fault, ids in found.items() if (left := ids & now if "missing" in fault else ids)}

    def _mend(self, shelf: Shelf) -> str:
        entries = self._catalog.documents.entries
        coming, wanted = entries.coming(shelf.id), entries.wanted(shelf.id)
        allowed = wanted | coming
        held, words = self._vectors(shelf, wanted), self._words(shelf)
        self._store.delete(shelf.store_key, sorted(held - allowed))
        if surplus := sorted(words - allowed):
            self._keywords.update(shelf.key, gone=surplus)
        missing, unwritten = sorted(wanted - held), sorted(wanted - words)
        for part in self._read(shelf, missing, "vectors"):
            self._store.upsert(shelf.store_key, [e.id for e in part], np.stack([e.vector for e in part]))
        for part in self._read(shelf, unwritten, "keyword entries"):
            self._keywords.update(shelf.key, part)
        if not (missing or unwritten or surplus or held - allowed):
            return ""
        self._catalog.changes.touch(shelf.id)
        return (
            f"{shelf.name}: {len(missing)} vectors and {len(unwritten)} keyword entries written anew from the records"
        )

    def _vectors(self, shelf: Shelf, wanted: set[str]) -> set[str]:
        """Ids of the vectors that are there; none of them wanted means that the collection is begun anew."""
        held = self._store.ids(shelf.store_key)
        if held and wanted and not held & wanted:
            self._store.drop(shelf.store_key)
            held = set()
        if wanted or held:
            self._store.create(shelf.store_key)
        return held

    def _words(self, shelf: Shelf) -> set[str]:
        try:
            return self._keywords.of(shelf.key).ids()
        except RagqError as error:
            log.warning("the keyword index of %s is damaged and is made anew: %s", shelf.name, error)
            self._keywords.drop(shelf.key)
            return self._keywords.of(shelf.key).ids()

    def _read(self, shelf: Shelf, ids: list[str], what: str) -> Iterator[list[Entry]]:
        """Entries in batches, and a line in the log now and then while that takes long."""
        told = time.monotonic()
        for i in range(0, len(ids), BATCH):
            if time.monotonic() - told > TELL_EVERY_S:
                told = time.monotonic()
                log.warning("%s: %d of %d %s are written anew", shelf.name, i, len(ids), what)
            if entries := list(self._catalog.documents.entries.by_id(shelf.id, ids[i : i + BATCH])):
                yield entries
