"""Do the records, the vector store, the keyword index and the kept originals agree, and what mends them?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clients.checkup import Checked, Checking, Checkup, Fault, Finding, Remaking
from clients.errors import RagqError
from services.service import Call

from .catalog import Catalog, Shelf
from .originals import Originals
from .probing import Probed, Prober
from .publishing import Publisher
from .remaking import Onlooker
from .shadows import Shadow
from .stores.base import VectorStore

PROBE_BATCH = 100
MAX_EXAMPLES = 5
REPAIR = "ragq fsck --repair"
WORDS: dict[Fault, tuple[str, str]] = {
    "records_damaged": ("the records are damaged", "restore records.sqlite from a backup"),
    "incomplete_document": ("documents are called ready, and chunks or vectors of theirs are not on record", REPAIR),
    "missing_vectors": ("contents have no vector in the store", REPAIR),
    "surplus_vectors": ("vectors in the store belong to no chunk", REPAIR),
    "missing_words": ("contents are not in the keyword index", REPAIR),
    "surplus_words": ("entries of the keyword index belong to no chunk", REPAIR),
    "wrong_vectors": ("vectors in the store are not those on record", REPAIR),
    "lost_vectors": ("vectors are in the store, and no search finds them", REPAIR),
    "lost_originals": ("originals are gone or damaged; what was made of them still answers", "add the files again"),
    "surplus_originals": ("originals are kept that no document has", REPAIR),
    "wrong_next_vectors": ("vectors that the running re-index wrote are not those on record", REPAIR),
}
Steps = Iterator[Checking | Finding | Remaking]


class Examiner:
    """Compares everything that is kept with the records, and mends it from them."""

    def __init__(self, catalog: Catalog, store: VectorStore, publisher: Publisher, originals: Originals) -> None:
        self._catalog = catalog
        self._publisher = publisher
        self._originals = originals
        self._prober = Prober(catalog, store)
        self._onlooker = Onlooker(catalog, store, self._prober)

    def examine(self, request: Checkup, call: Call) -> Iterator[Checking | Checked]:
        """How far it is, again and again, and at last the result.

        Raises:
            NotFound: no such collection.
        """
        shelves = [self._catalog.shelf(request.collection)] if request.collection else self._catalog.shelves()
        findings: list[Finding] = []
        reindexes: list[Remaking] = []
        num_probed = 0
        for step in self._steps(shelves, request):
            call.check()
            if isinstance(step, Finding):
                findings.append(step)
            elif isinstance(step, Remaking):
                reindexes.append(step)
            else:
                num_probed += PROBE_BATCH if step.stage == "probing vectors" else 0
                yield step
        now = [c for c in self._catalog.collections() if c.name in {shelf.name for shelf in shelves}]
        num_chunks = sum(c.num_chunks for c in now)
        num_documents = sum(c.num_documents for c in now)
        yield Checked(findings, len(now), num_documents, num_chunks, min(num_probed, num_chunks), reindexes)

    def _steps(self, shelves: Sequence[Shelf], request: Checkup) -> Steps:
        yield Checking("", "records")
        yield from self._records()
        for number, shelf in enumerate(shelves):
            yield Checking(shelf.name, "comparing", number, len(shelves))
            yield from self._documents(shelf, request)
            yield from self._stores(shelf, request)
            if request.probe:
                yield from self._probe(shelf, request)
            if shadow := self._onlooker.of(shelf):
                yield from self._next_vectors(shadow, request)
        yield from self._contents(shelves, request)

    def _records(self) -> Steps:
        rows = self._catalog.database.read().execute("PRAGMA quick_check(20)").fetchall()
        if problems := [str(row[0]) for row in rows if row[0] != "ok"]:
            yield _finding("", "records_damaged", problems)

    def _documents(self, shelf: Shelf, request: Checkup) -> Steps:
        """Documents whose chunks are not all there are made anew from their originals."""
        broken = self._catalog.documents.incomplete(shelf.id)
        if request.repair:
            for id_, _ in broken:
                self._catalog.jobs.redo(id_, "repair")
        if broken:
            yield _finding(shelf.name, "incomplete_document", [name for _, name in broken], is_mended=request.repair)

    def _stores(self, shelf: Shelf, request: Checkup) -> Steps:
        found = self._publisher.compare(shelf)
        if found and request.repair:
            self._publisher.mend(shelf)
        left = self._publisher.compare(shelf) if request.repair else found
        for fault, ids in found.items():
            yield _finding(shelf.name, fault, sorted(ids), is_mended=fault not in left)

    def _probe(self, shelf: Shelf, request: Checkup) -> Steps:
        """Ask the store for each vector: it may have lost or altered some without an error, and count them still."""
        wanted = sorted(self._catalog.documents.entries.wanted(shelf.id))
        wrong: list[str] = []
        lost: list[str] = []
        for at in range(0, len(wanted), PROBE_BATCH):
            yield Checking(shelf.name, "probing vectors", at, len(wanted))
            amiss = self._prober.probe(shelf, wanted[at : at + PROBE_BATCH])
            wrong += amiss.wrong
            lost += amiss.lost
        if not wrong and not lost:
            return
        if request.repair:
            self._publisher.rebuild(shelf)
        left = self._prober.probe(shelf, wrong + lost) if request.repair else Probed(wrong, lost)
        still = {*left.wrong, *left.lost}
        if wrong:
            yield _finding(shelf.name, "wrong_vectors", wrong, is_mended=still.isdisjoint(wrong))
        if lost:
            yield _finding(shelf.name, "lost_vectors", lost, is_mended=still.isdisjoint(lost))

    def _next_vectors(self, shadow: Shadow, request: Checkup) -> Steps:
        """How far a re-index is; its vectors are read back, because it compares no more than ids before the swap."""
        name, wrong = shadow.shelf.name, []
        probed = self._onlooker.probed(shadow) if request.probe else []
        for at in range(0, len(probed), PROBE_BATCH):
            yield Checking(name, "probing the re-index", at, len(probed))
            wrong += self._onlooker.wrong(shadow, probed[at : at + PROBE_BATCH])
        if wrong and request.repair:
            self._publisher.shade(shadow, wrong)
        if wrong:
            left = self._onlooker.wrong(shadow, wrong) if request.repair else wrong
            yield _finding(name, "wrong_next_vectors", wrong, is_mended=not left)
        yield self._onlooker.state(shadow)

    def _contents(self, shelves: Sequence[Shelf], request: Checkup) -> Steps:
        for shelf in shelves:
            yield Checking(shelf.name, "originals")
            gone = [
                name
                for name, sha256 in self._catalog.documents.named_contents(shelf.id)
                if self._is_gone(sha256, request)
            ]
            if gone:
                yield _finding(shelf.name, "lost_originals", gone)
        if request.collection:
            return
        if surplus := self._originals.surplus():
            if request.repair:
                self._originals.forget(surplus)
            yield _finding("", "surplus_originals", surplus, is_mended=request.repair)

    def _is_gone(self, sha256: str, request: Checkup) -> bool:
        if not request.probe:
            return not self._originals.has(sha256)
        try:
            self._originals.read(sha256)
        except RagqError:
            return True
        return False


def _finding(collection: str, fault: Fault, things: Sequence[str], *, is_mended: bool = False) -> Finding:
    message, fix = WORDS[fault]
    return Finding(
        collection, fault, len(things), message, "" if is_mended else fix, list(things[:MAX_EXAMPLES]), is_mended
    )
